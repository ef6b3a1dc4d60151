import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.Reader;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/** Server for addfile. */
public class Server {
    private static void sendLine(OutputStream out, String line) throws IOException {
        out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.println("Sent: " + line);
    }

    private static String readLine(Reader reader) throws IOException {
        StringBuilder line = new StringBuilder();
        int c;
        while ((c = reader.read()) != '\n') {
            if (c == -1 || line.length() == 500) {
                throw new IOException("no complete line");
            }
            line.append((char) c);
        }
        return line.toString();
    }

    private static void receiveFile(InputStream in, String target) throws IOException {
        File temp = File.createTempFile(".recv", ".tmp", new File("."));
        try {
            try (FileOutputStream file = new FileOutputStream(temp)) {
                byte[] buffer = new byte[4096];
                int n;
                while ((n = in.read(buffer)) != -1) {
                    file.write(buffer, 0, n);
                }
                file.getFD().sync();
            }
            if (!temp.renameTo(new File(target))) {
                throw new IOException("cannot create " + target);
            }
        } finally {
            temp.delete();
        }
    }

    private static void serve(Socket socket) throws IOException {
        socket.setSoTimeout(2000);
        InputStream in = socket.getInputStream();
        OutputStream out = socket.getOutputStream();
        // the reader makes characters of the bytes, also of ä and ö
        Reader reader = new InputStreamReader(in, StandardCharsets.UTF_8);

        String command = readLine(reader);
        System.out.println("Client command: " + command);
        if (!command.equals("addfile")) {
            return;
        }
        String filename = readLine(reader);
        if (filename.isEmpty() || filename.indexOf('/') >= 0 || filename.indexOf('\0') >= 0) {
            System.out.println("Illegal file name");
            return;
        }
        System.out.println("Creating new file: " + filename);
        sendLine(out, "file recv");

        System.out.println("Receiving file data for: " + filename);
        receiveFile(in, "server_" + filename);
        sendLine(out, "file data recv");
        socket.shutdownOutput();
    }

    public static void main(String[] args) throws IOException {
        ServerSocket listener = new ServerSocket();
        listener.setReuseAddress(true);
        listener.bind(new InetSocketAddress("127.0.0.1", 80));
        System.out.println("Server listening on 127.0.0.1 port 80");
        while (true) {
            Socket socket = listener.accept();
            System.out.println("Client connected: ('127.0.0.1', " + socket.getPort() + ")");
            new Thread(() -> {
                try (socket) {
                    serve(socket);
                } catch (IOException e) {
                    System.out.println("Error: " + e.getMessage());
                }
            }).start();
        }
    }
}
