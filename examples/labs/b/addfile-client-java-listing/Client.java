import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

public class Client {
    static final String HOST = "127.0.0.1";
    static final int PORT = 80;

    static void sendText(OutputStream out, String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    public static void main(String[] args) throws IOException {
        Path path = Path.of(args[0]);
        String filename = path.getFileName().toString();
        byte[] data = Files.readAllBytes(path);

        Socket client = new Socket(HOST, PORT);
        OutputStream out = client.getOutputStream();
        sendText(out, "addfile");
        sendText(out, filename);
        out.write(data);
        out.flush();
        client.close();
        System.out.println("File sent: " + filename);
    }
}
