import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/** java Upload HOST PORT FILE */
public class Upload {
    private static final int TIMEOUT = 3000;

    private static String readLine(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        int b;
        while ((b = in.read()) != '\n') {
            if (b < 0 || line.size() > 200) {
                throw new IOException("server did not send a status");
            }
            line.write(b);
        }
        return line.toString(StandardCharsets.UTF_8);
    }

    private static void upload(InetSocketAddress server, File file) throws IOException {
        if (file.getName().contains("\n")) {
            throw new IOException("the name has two lines");
        }
        if (!file.canRead()) {
            throw new IOException("cannot read " + file);
        }
        try (Socket socket = new Socket()) {
            socket.connect(server, TIMEOUT);
            socket.setSoTimeout(TIMEOUT);
            InputStream in = new BufferedInputStream(socket.getInputStream());
            OutputStream out = socket.getOutputStream();

            String request = "UPLOAD\n" + file.getName() + "\n";
            out.write(request.getBytes(StandardCharsets.UTF_8));
            String status = readLine(in);
            if (!status.equals("OK")) {
                throw new IOException("status is " + status);
            }
            Files.copy(file.toPath(), out);
            socket.shutdownOutput();
            // There is no second status. But the server hangs up after it has stored the file.
            while (in.read() != -1) {
                continue;
            }
        }
    }

    public static void main(String[] args) {
        if (args.length != 3) {
            System.err.println("usage: java Upload HOST PORT FILE");
            System.exit(2);
        }
        try {
            upload(new InetSocketAddress(args[0], Integer.parseInt(args[1])), new File(args[2]));
            System.out.println("uploaded");
        } catch (IOException e) {
            System.err.println("failed: " + e.getMessage());
            System.exit(1);
        }
    }
}
