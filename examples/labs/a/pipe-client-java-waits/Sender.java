import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/** Sends the file args[0] to the lab server. */
public class Sender {
    private final Socket socket;
    private final DataInputStream in;
    private final BufferedOutputStream out;

    Sender(String host, int port) throws IOException {
        socket = new Socket(host, port);
        in = new DataInputStream(socket.getInputStream());
        out = new BufferedOutputStream(socket.getOutputStream());
    }

    void sendMetadata(File file) throws IOException {
        String text = file.getName() + "|" + file.length();
        out.write(text.getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    void waitForAck() throws IOException {
        byte[] ack = new byte[3];
        in.readFully(ack); // throws if the server closes before
        if (ack[0] != 'A' || ack[1] != 'C' || ack[2] != 'K') {
            throw new IOException("this is not an ACK");
        }
    }

    void sendContent(File file) throws IOException {
        Files.copy(file.toPath(), out);
        out.flush();
        socket.shutdownOutput();
    }

    /** The server has closed properly if we can read the end of the stream. */
    void finish() throws IOException {
        while (in.read() != -1) {
        }
        socket.close();
    }

    public static void main(String[] args) {
        File file = new File(args[0]);
        if (file.getName().contains("|")) {
            System.err.println("| is not possible in a name");
            System.exit(1);
        }
        try {
            Sender sender = new Sender("127.0.0.1", 65432);
            sender.sendMetadata(file);
            sender.waitForAck();
            sender.sendContent(file);
            sender.finish();
            System.out.println("[SENT] " + file.getName());
        } catch (IOException e) {
            System.err.println("[ERROR] " + e);
            System.exit(1);
        }
    }
}
