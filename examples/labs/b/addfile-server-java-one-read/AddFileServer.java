import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

public class AddFileServer {
    private static final Path TEMPORARY = Path.of(".addfile.tmp");

    private static String recvText(InputStream in) throws IOException {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b == -1 || text.size() > 500) {
                throw new IOException("not a text");
            }
            text.write(b);
        }
        return text.toString(StandardCharsets.UTF_8);
    }

    private static void save(byte[] data, int length, Path file) throws IOException {
        try {
            try (FileOutputStream out = new FileOutputStream(TEMPORARY.toFile())) {
                out.write(data, 0, length);
                out.getFD().sync();
            }
            Files.move(TEMPORARY, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(TEMPORARY);
        }
    }

    private static void addFile(InputStream in, OutputStream out) throws IOException {
        String filename = recvText(in);
        if (filename.isEmpty() || filename.contains("/") || filename.contains("\0")) {
            throw new IOException("filename is not possible");
        }
        System.out.println("Creating new file: " + filename);
        out.write("file recv\n".getBytes());
        System.out.println("Sent: file recv");

        System.out.println("Receiving file data for: " + filename);
        byte[] data = new byte[1024 * 1024];
        int length = in.read(data);
        if (length == -1) {
            length = 0; // an empty file
        }
        save(data, length, Path.of("server_" + filename));
        out.write("file data recv\n".getBytes());
        System.out.println("Sent: file data recv");
    }

    private static void serve(Socket client) throws IOException {
        client.setSoTimeout(2000);
        InputStream in = new BufferedInputStream(client.getInputStream());
        String command = recvText(in);
        System.out.println("Client command: " + command);
        if (!command.equals("addfile")) {
            return;
        }
        addFile(in, client.getOutputStream());
        client.shutdownOutput();
        try {
            in.transferTo(OutputStream.nullOutputStream()); // wait for the client's close
        } catch (SocketTimeoutException e) {
            System.out.println("Client does not close");
        }
    }

    public static void main(String[] args) throws IOException {
        try (ServerSocket server = new ServerSocket(80, 20, InetAddress.getByName("127.0.0.1"))) {
            System.out.println("Server listening on 127.0.0.1 port 80");
            while (true) {
                try (Socket client = server.accept()) {
                    System.out.println("Client connected: ('127.0.0.1', " + client.getPort() + ")");
                    serve(client);
                } catch (IOException e) {
                    System.out.println("Error: " + e.getMessage());
                }
            }
        }
    }
}
