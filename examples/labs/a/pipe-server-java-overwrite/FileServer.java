import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;

/** Homework: file transfer over TCP, receiving side. */
public class FileServer {
    private static final int PORT = 65432;

    /** name|size: everything before the last | is the name, in bytes. */
    private static class Header {
        byte[] bytes = new byte[1024];
        int length = 0;

        int bar() {
            int i = length - 1;
            while (i >= 0 && bytes[i] >= '0' && bytes[i] <= '9') {
                i--;
            }
            return i > 0 && bytes[i] == '|' && i < length - 1 ? i : -1;
        }

        String name() {
            return new String(bytes, 0, bar(), StandardCharsets.UTF_8);
        }

        long size() throws IOException {
            String digits = new String(bytes, bar() + 1, length - bar() - 1, StandardCharsets.US_ASCII);
            if (digits.length() > 10 || Long.parseLong(digits) > 1_073_741_824L) {
                throw new IOException("size is not acceptable: " + digits);
            }
            return Long.parseLong(digits);
        }
    }

    private static Header readHeader(Socket socket) throws IOException {
        InputStream in = socket.getInputStream();
        Header header = new Header();
        while (header.length < header.bytes.length) {
            // When it could be complete, only wait shortly for another digit.
            socket.setSoTimeout(header.bar() > 0 ? 200 : 2000);
            int b;
            try {
                b = in.read();
            } catch (SocketTimeoutException e) {
                if (header.bar() > 0) {
                    return header;
                }
                throw e;
            }
            if (b < 0) {
                throw new IOException("end of stream in the header");
            }
            if (b == '\n' && header.bar() > 0) {
                return header;
            }
            header.bytes[header.length++] = (byte) b;
        }
        throw new IOException("header is too long");
    }

    private static void receive(Socket socket) throws IOException {
        Header header = readHeader(socket);
        String name = header.name();
        long size = header.size();
        if (name.matches("\\.\\.?") || name.indexOf('/') != -1 || name.indexOf(0) != -1) {
            throw new IOException("bad name");
        }
        File file = new File(name);
        if (file.isDirectory()) {
            throw new IOException("this is a directory");
        }
        socket.getOutputStream().write("ACK".getBytes());

        socket.setSoTimeout(2000);
        InputStream in = socket.getInputStream();
        boolean complete = false;
        try (FileOutputStream out = new FileOutputStream(file)) {
            byte[] block = new byte[4096];
            long rest = size;
            int n = 0;
            while (rest > 0 && (n = in.read(block, 0, (int) Math.min(block.length, rest))) > 0) {
                out.write(block, 0, n);
                rest -= n;
            }
            out.getFD().sync();
            complete = rest == 0 && !hasMore(socket);
        } finally {
            // nobody can use half a file
            if (!complete) {
                file.delete();
            }
        }
        System.out.println((complete ? "[SAVED] " : "[INCOMPLETE] ") + name);
    }

    private static boolean hasMore(Socket socket) throws IOException {
        socket.setSoTimeout(200);
        try {
            return socket.getInputStream().read() >= 0;
        } catch (SocketTimeoutException | SocketException e) {
            return false;
        }
    }

    public static void main(String[] args) throws IOException {
        // Java sets SO_REUSEADDR by itself on Linux
        try (ServerSocket server = new ServerSocket(PORT, 10, InetAddress.getByName("127.0.0.1"))) {
            while (true) {
                System.out.println("[LISTENING] Waiting for connection...");
                try (Socket socket = server.accept()) {
                    receive(socket);
                } catch (IOException e) {
                    System.out.println("[ERROR] " + e.getMessage());
                }
            }
        }
    }
}
