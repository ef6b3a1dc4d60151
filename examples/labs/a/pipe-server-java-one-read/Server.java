import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

public class Server {
    static final long LIMIT = 1024L * 1024 * 1024;

    static void handle(Socket client) throws IOException {
        client.setSoTimeout(2000);
        InputStream in = client.getInputStream();

        // first the metadata
        byte[] buffer = new byte[1024];
        int n = in.read(buffer);
        if (n == -1) {
            throw new IOException("client went away");
        }
        String metadata = new String(buffer, 0, n, StandardCharsets.UTF_8).replaceFirst("\n$", "");
        int bar = metadata.lastIndexOf('|');
        if (bar < 1 || !metadata.substring(bar + 1).matches("[0-9]{1,10}")) {
            throw new IOException("wrong metadata: " + metadata.length() + " characters");
        }
        String name = metadata.substring(0, bar);
        long size = Long.parseLong(metadata.substring(bar + 1));
        if (size > LIMIT || name.contains("/") || name.contains("\0") || name.equals("..") || name.equals(".")) {
            throw new IOException("file refused");
        }

        client.getOutputStream().write(new byte[] {'A', 'C', 'K'});

        // then the file
        Path temporary = Files.createTempFile(Path.of(""), ".", ".tmp");
        try {
            try (FileOutputStream out = new FileOutputStream(temporary.toFile())) {
                long received = 0;
                while (received < size) {
                    n = in.read(buffer);
                    if (n == -1) {
                        throw new IOException("only " + received + " of " + size + " bytes");
                    }
                    out.write(buffer, 0, n);
                    received += n;
                }
                if (received > size || more(client)) {
                    throw new IOException("more than " + size + " bytes");
                }
                out.getFD().sync();
            }
            Files.move(temporary, Path.of(name), StandardCopyOption.ATOMIC_MOVE);
            System.out.println("[SAVED] " + name + " (" + size + " bytes)");
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    static boolean more(Socket client) throws IOException {
        client.setSoTimeout(200);
        try {
            return client.getInputStream().read() != -1;
        } catch (SocketTimeoutException | SocketException e) {
            return false;
        }
    }

    public static void main(String[] args) throws IOException {
        ServerSocket server = new ServerSocket();
        server.setReuseAddress(true);
        server.bind(new InetSocketAddress("127.0.0.1", 65432));
        while (true) {
            System.out.println("[LISTENING] Waiting for connection...");
            try (Socket client = server.accept()) {
                handle(client);
            } catch (IOException e) {
                System.out.println("[ERROR] " + e.getMessage());
            }
        }
    }
}
