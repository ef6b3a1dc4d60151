import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** java Client FILE */
public class Client {
    private static final int PATIENCE = 3000;

    private static volatile long lastProgress;

    /** setSoTimeout is only for reading, a write could hang for ever. */
    private static void watch() {
        while (System.currentTimeMillis() - lastProgress < PATIENCE) {
            try {
                Thread.sleep(100);
            } catch (InterruptedException e) {
                return;
            }
        }
        System.err.println("[ERROR] server does nothing");
        System.exit(1);
    }

    private static void send(Path file) throws IOException {
        String name = file.getFileName().toString();
        if (name.contains("|")) {
            throw new IOException("cannot send a name with |");
        }
        String metadata = name + "|" + Files.size(file);

        lastProgress = System.currentTimeMillis();
        Thread watcher = new Thread(Client::watch);
        watcher.setDaemon(true);
        watcher.start();

        try (Socket socket = new Socket(); InputStream content = Files.newInputStream(file)) {
            socket.connect(new InetSocketAddress("127.0.0.1", 65432));
            InputStream in = socket.getInputStream();
            OutputStream out = socket.getOutputStream();

            out.write(metadata.getBytes(StandardCharsets.UTF_8));
            byte[] ack = in.readNBytes(3);
            if (!Arrays.equals(ack, "ACK".getBytes(StandardCharsets.US_ASCII))) {
                throw new IOException("server did not send ACK");
            }
            byte[] chunk = new byte[4096];
            int n;
            while ((n = content.read(chunk)) >= 0) {
                lastProgress = System.currentTimeMillis();
                out.write(chunk, 0, n);
            }
            lastProgress = System.currentTimeMillis();
            socket.shutdownOutput();
            // The server closes when it is done. If it resets the connection, read throws.
            while (in.read() >= 0) {
                continue;
            }
        }
    }

    public static void main(String[] args) throws InterruptedException {
        // I start both programs with one script, so give the server some time.
        Thread.sleep(1500);
        try {
            send(Path.of(args[0]));
            System.out.println("[SENT] " + args[0]);
        } catch (IOException e) {
            System.err.println("[ERROR] " + e.getMessage());
            System.exit(1);
        }
    }
}
