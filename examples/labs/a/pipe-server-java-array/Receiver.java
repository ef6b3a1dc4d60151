import java.io.ByteArrayOutputStream;
import java.io.EOFException;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Receiver {
    static final Pattern HEADER = Pattern.compile("(.+)\\|(\\d+)", Pattern.DOTALL);

    static Matcher receiveHeader(Socket socket) throws IOException {
        InputStream in = socket.getInputStream();
        ByteArrayOutputStream header = new ByteArrayOutputStream();
        socket.setSoTimeout(2000);
        while (header.size() < 1500) {
            int c;
            try {
                c = in.read();
            } catch (SocketTimeoutException e) {
                c = '\n';
            }
            if (c == -1) {
                throw new EOFException("no header");
            }
            // decode only what is complete
            Matcher m = HEADER.matcher(header.toString(StandardCharsets.UTF_8));
            if (c == '\n') {
                if (!m.matches()) {
                    throw new IOException("header is wrong or does not come");
                }
                return m;
            }
            header.write(c);
            if (c >= '0' && c <= '9' && header.toString(StandardCharsets.UTF_8).contains("|")) {
                socket.setSoTimeout(200); // could be the last digit
            } else {
                socket.setSoTimeout(2000);
            }
        }
        throw new IOException("header is too long");
    }

    static void store(String name, byte[] content) throws IOException {
        Path part = Path.of(".part");
        try (FileOutputStream out = new FileOutputStream(part.toFile())) {
            out.write(content);
            out.getFD().sync();
        }
        try {
            Files.move(part, Path.of(name), StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    static void serve(Socket socket) throws IOException {
        Matcher header = receiveHeader(socket);
        String name = header.group(1);
        int size = Integer.parseInt(header.group(2));
        if (name.contains("/") || name.contains("\0") || name.equals(".") || name.equals("..")) {
            throw new IOException("name not allowed");
        }
        byte[] content = new byte[size];
        socket.getOutputStream().write("ACK".getBytes(StandardCharsets.US_ASCII));

        socket.setSoTimeout(2000);
        InputStream in = socket.getInputStream();
        int got = in.readNBytes(content, 0, size);
        if (got < size) {
            throw new EOFException(got + " of " + size + " bytes");
        }
        socket.setSoTimeout(200);
        try {
            if (in.read() != -1) {
                throw new IOException("file is longer than announced");
            }
        } catch (SocketTimeoutException | SocketException e) {
            // good, the client has nothing more
        }
        store(name, content);
        System.out.println("[SAVED] " + name + ", " + size + " bytes");
    }

    public static void main(String[] args) throws IOException {
        ServerSocket server = new ServerSocket();
        server.setReuseAddress(true);
        server.bind(new InetSocketAddress("127.0.0.1", 65432));
        for (;;) {
            System.out.println("[LISTENING] Waiting for connection...");
            Socket socket = server.accept();
            try {
                serve(socket);
            } catch (IOException e) {
                System.out.println("[ERROR] " + e.getMessage());
            } finally {
                socket.close();
            }
        }
    }
}
