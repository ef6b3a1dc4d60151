import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

public class Client {
    public static void main(String[] args) {
        if (args.length != 1) {
            System.err.println("usage: java Client FILE");
            System.exit(2);
        }
        Path path = Path.of(args[0]);
        String name = path.getFileName().toString();
        if (name.indexOf('|') >= 0) {
            System.err.println("file name must not contain |");
            System.exit(2);
        }

        try (Socket socket = new Socket()) {
            InetAddress host = InetAddress.getByName("127.0.0.1");
            socket.connect(new InetSocketAddress(host, 65432), 3000);
            socket.setSoTimeout(3000);
            InputStream in = socket.getInputStream();
            OutputStream out = socket.getOutputStream();

            String metadata = name + "|" + Files.size(path);
            out.write(metadata.getBytes(StandardCharsets.UTF_8));

            // wait for all three letters
            String answer = new String(in.readNBytes(3), StandardCharsets.US_ASCII);
            if (!answer.equals("ACK")) {
                System.out.println("Server does not want the file: " + name);
                return;
            }

            try (FileInputStream file = new FileInputStream(path.toFile())) {
                byte[] chunk = new byte[1024];
                int n;
                while ((n = file.read(chunk)) != -1) {
                    out.write(chunk, 0, n);
                }
            }
            socket.shutdownOutput();
            in.readAllBytes();
            System.out.println("Finished: " + name);
        } catch (IOException e) {
            System.err.println("Error: " + e.getMessage());
            System.exit(1);
        }
    }
}
