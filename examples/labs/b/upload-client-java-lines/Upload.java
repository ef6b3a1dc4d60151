import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Timer;
import java.util.TimerTask;

/** java Upload HOST PORT FILE */
public class Upload {
    private static final int TIMEOUT = 3000;

    private final Timer timer = new Timer(true);

    /** Java has a timeout for reading, but none for writing. So the timer watches each write. */
    private void write(Socket socket, byte[] data, int length) throws IOException {
        TimerTask alarm = new TimerTask() {
            @Override
            public void run() {
                try {
                    socket.close(); // write throws then
                } catch (IOException e) {
                    System.err.println(e);
                }
            }
        };
        timer.schedule(alarm, TIMEOUT);
        socket.getOutputStream().write(data, 0, length);
        alarm.cancel();
    }

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

    private void upload(InetSocketAddress server, File file) throws IOException {
        if (file.getName().contains("\n")) {
            throw new IOException("the name has two lines");
        }
        try (InputStream content = Files.newInputStream(file.toPath()); Socket socket = new Socket()) {
            socket.connect(server, TIMEOUT);
            socket.setSoTimeout(TIMEOUT);
            InputStream in = new BufferedInputStream(socket.getInputStream());

            byte[] request = ("UPLOAD\n" + file.getName() + "\n").getBytes(StandardCharsets.UTF_8);
            write(socket, request, request.length);
            String status = readLine(in);
            if (!status.equals("OK")) {
                throw new IOException("status is " + status);
            }
            byte[] chunk = new byte[8192];
            int n;
            while ((n = content.read(chunk)) != -1) {
                write(socket, chunk, n);
            }
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
            new Upload().upload(new InetSocketAddress(args[0], Integer.parseInt(args[1])), new File(args[2]));
            System.out.println("uploaded");
        } catch (IOException e) {
            System.err.println("failed: " + e.getMessage());
            System.exit(1);
        }
    }
}
