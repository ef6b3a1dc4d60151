import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

public class Client {
    private final Socket socket = new Socket();

    private String readLine() throws IOException {
        BufferedReader reader = new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        String line = reader.readLine();
        System.out.println("Server: " + line);
        return line;
    }

    private void addFile(File file) throws IOException {
        socket.connect(new InetSocketAddress("127.0.0.1", 80), 3000);
        socket.setSoTimeout(3000);

        OutputStream out = new BufferedOutputStream(socket.getOutputStream());
        out.write("addfile\n".getBytes(StandardCharsets.UTF_8));
        out.write((file.getName() + "\n").getBytes(StandardCharsets.UTF_8));
        Files.copy(file.toPath(), out);
        out.flush();
        socket.shutdownOutput();

        // now the two confirmations
        if (!"file recv".equals(readLine())) {
            throw new IOException("the name was not confirmed");
        }
        if (!"file data recv".equals(readLine())) {
            throw new IOException("the data was not confirmed");
        }
        while (socket.getInputStream().read() != -1) {
            // until the server closes
        }
        socket.close();
    }

    public static void main(String[] args) {
        File file = new File(args[0]);
        if (file.getName().contains("\n")) {
            System.err.println("Cannot send this name");
            System.exit(1);
        }
        try {
            new Client().addFile(file);
        } catch (IOException e) {
            System.err.println("Error: " + e.getMessage());
            System.exit(1);
        }
    }
}
