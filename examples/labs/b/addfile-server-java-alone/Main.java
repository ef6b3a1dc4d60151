import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

public class Main {
    private final DataInputStream in;
    private final OutputStream out;

    Main(Socket s) throws IOException {
        in = new DataInputStream(new BufferedInputStream(s.getInputStream()));
        out = s.getOutputStream();
    }

    String readText() throws IOException {
        byte[] text = new byte[256];
        int n = 0;
        byte b;
        while ((b = in.readByte()) != 10) { // EOFException if the client leaves
            if (n == text.length) {
                throw new IOException("text too long");
            }
            text[n++] = b;
        }
        return new String(text, 0, n, StandardCharsets.UTF_8);
    }

    void writeText(String text) throws IOException {
        out.write((text + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.println("Sent: " + text);
    }

    void readFile(File file) throws IOException {
        File temp = new File(".new_file");
        boolean done = false;
        try (FileOutputStream f = new FileOutputStream(temp)) {
            in.transferTo(f);
            f.getFD().sync();
            done = temp.renameTo(file);
        } finally {
            if (!done) {
                temp.delete();
            }
        }
        if (!done) {
            throw new IOException("cannot store the file");
        }
    }

    void run() throws IOException {
        String command = readText();
        System.out.println("Client command: " + command);
        if (!command.equals("addfile")) {
            throw new IOException("only addfile works");
        }
        String name = readText();
        if (name.length() == 0 || name.contains("/") || name.contains("\0")) {
            throw new IOException("illegal name");
        }
        System.out.println("Creating new file: " + name);
        writeText("file recv");
        System.out.println("Receiving file data for: " + name);
        readFile(new File("server_" + name));
        writeText("file data recv");
    }

    public static void main(String[] args) throws IOException {
        ServerSocket server = new ServerSocket(80, 50, InetAddress.getByName("127.0.0.1"));
        System.out.println("Server listening on 127.0.0.1 port 80");
        for (;;) {
            Socket s = server.accept();
            System.out.println("Client connected: ('127.0.0.1', " + s.getPort() + ")");
            try {
                new Main(s).run();
                s.shutdownOutput();
            } catch (IOException e) {
                System.out.println("Error: " + e);
            }
            s.close();
        }
    }
}
