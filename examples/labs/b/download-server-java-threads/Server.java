import java.io.BufferedInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;

/** DOWNLOAD, UPLOAD and addfile; a thread for every client. Commands, names and statuses are lines. */
public class Server {
    private static final int SILENCE = 2000;
    private static final int MAX_LINE = 1000;

    private final Socket socket;
    private final InputStream in;
    private final OutputStream out;

    private Server(Socket socket) throws IOException {
        this.socket = socket;
        socket.setSoTimeout(SILENCE);
        // One buffer for lines and data, so nothing can get lost between them.
        in = new BufferedInputStream(socket.getInputStream());
        out = socket.getOutputStream();
    }

    private String receiveText() throws IOException {
        byte[] line = new byte[MAX_LINE];
        for (int length = 0; length < MAX_LINE; length++) {
            int b = in.read();
            if (b < 0) {
                throw new IOException("client closed inside a text");
            }
            if (b == '\n') {
                byte[] raw = Arrays.copyOf(line, length);
                String text = new String(raw, StandardCharsets.UTF_8);
                if (!Arrays.equals(text.getBytes(StandardCharsets.UTF_8), raw)) {
                    throw new IOException("text is not UTF-8");
                }
                return text;
            }
            line[length] = (byte) b;
        }
        throw new IOException("text is too long");
    }

    private void sendText(String text) throws IOException {
        out.write((text + "\n").getBytes(StandardCharsets.UTF_8));
    }

    private static boolean isFileName(String name) {
        return !name.isEmpty() && !name.equals(".") && !name.equals("..") && name.indexOf('/') < 0
                && name.indexOf('\0') < 0 && name.getBytes(StandardCharsets.UTF_8).length < 240;
    }

    private void store(String name) throws IOException {
        File part = File.createTempFile(".new", null, new File("."));
        try {
            try (FileOutputStream file = new FileOutputStream(part)) {
                in.transferTo(file);
                file.getFD().sync();
            }
            Files.move(part.toPath(), Path.of(name), StandardCopyOption.ATOMIC_MOVE);
        } finally {
            part.delete();
        }
    }

    private void download(String name) throws IOException {
        if (!isFileName(name) || !Files.isRegularFile(Path.of(name))) {
            sendText("NOT FOUND");
            return;
        }
        try (InputStream file = Files.newInputStream(Path.of(name))) {
            sendText("OK");
            file.transferTo(out);
        }
    }

    private void upload(String name) throws IOException {
        if (!isFileName(name) || Files.isDirectory(Path.of(name))) {
            sendText("NOT FOUND");
            return;
        }
        sendText("OK");
        store(name);
    }

    private void addfile(String name) throws IOException {
        if (!isFileName(name)) {
            throw new IOException("name refused");
        }
        System.out.println("Creating new file: " + name);
        sendText("file recv");
        System.out.println("Sent: file recv\nReceiving file data for: " + name);
        store("server_" + name);
        sendText("file data recv");
        System.out.println("Sent: file data recv");
    }

    private void serve() throws IOException {
        String command = receiveText();
        System.out.println("Client command: " + command);
        switch (command) {
            case "DOWNLOAD" -> download(receiveText());
            case "UPLOAD" -> upload(receiveText());
            case "addfile" -> addfile(receiveText());
            default -> throw new IOException("unknown command");
        }
        socket.shutdownOutput();
        try {
            in.transferTo(OutputStream.nullOutputStream());
        } catch (SocketTimeoutException e) {
            // A slow reader. Everything is sent, the system delivers it without us.
        }
    }

    private static void run(Socket socket) {
        try (socket) {
            try {
                new Server(socket).serve();
            } catch (IOException e) {
                System.out.println("Error: " + e.getMessage());
                // Reset instead of an orderly end: a download that broke off must not look complete.
                socket.setSoLinger(true, 0);
            }
        } catch (IOException e) {
            System.out.println("Error at close: " + e.getMessage());
        }
    }

    public static void main(String[] args) throws IOException {
        ServerSocket server = new ServerSocket();
        server.setReuseAddress(true);
        server.bind(new InetSocketAddress("127.0.0.1", 80));
        System.out.println("Server listening on 127.0.0.1 port 80");
        while (true) {
            Socket socket = server.accept();
            System.out.println("Client connected: ('127.0.0.1', " + socket.getPort() + ")");
            new Thread(() -> run(socket)).start();
        }
    }
}
