import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.ByteArrayOutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Receives files, every client in its own thread. */
public class Server implements Runnable {
    private static final int SILENCE = 2000; // ms until we give a client up
    private static final int QUIET = 200; // ms without a new byte end the metadata
    private static final long MAX_SIZE = 1L << 30;
    // Latin-1 keeps every byte as one char, so this matches bytes. The last | is the separator.
    private static final Pattern METADATA = Pattern.compile("(.+)\\|([0-9]{1,10})", Pattern.DOTALL);

    private final Socket socket;
    private String name;
    private long size;

    private Server(Socket socket) {
        this.socket = socket;
    }

    /** Reads byte by byte, so that nothing of the body is taken by mistake. */
    private void readMetadata(InputStream in) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        while (bytes.size() < 2000) {
            Matcher m = METADATA.matcher(bytes.toString(StandardCharsets.ISO_8859_1));
            boolean complete = m.matches();
            socket.setSoTimeout(complete ? QUIET : SILENCE);
            int b;
            try {
                b = in.read();
            } catch (SocketTimeoutException e) {
                if (!complete) {
                    throw e;
                }
                b = '\n'; // silence is as good as a line feed
            }
            if (b == -1) {
                throw new IOException("client left inside the metadata");
            }
            if (b == '\n' && complete) {
                setName(m.group(1).getBytes(StandardCharsets.ISO_8859_1));
                size = Long.parseLong(m.group(2));
                if (size > MAX_SIZE) {
                    throw new IOException("too big: " + size);
                }
                return;
            }
            bytes.write(b);
        }
        throw new IOException("metadata too long");
    }

    private void setName(byte[] raw) throws IOException {
        name = new String(raw, StandardCharsets.UTF_8);
        boolean text = Arrays.equals(raw, name.getBytes(StandardCharsets.UTF_8));
        if (!text || raw.length > 255 || name.indexOf('/') >= 0 || name.indexOf('\0') >= 0
                || name.equals(".") || name.equals("..")) {
            throw new IOException("not a file name");
        }
    }

    private void readBody(InputStream in, FileOutputStream out) throws IOException {
        byte[] buffer = new byte[16 * 1024];
        long missing = size;
        socket.setSoTimeout(SILENCE);
        while (missing > 0) {
            int n = in.read(buffer, 0, (int) Math.min(buffer.length, missing));
            if (n < 0) {
                throw new IOException(missing + " bytes are missing");
            }
            out.write(buffer, 0, n);
            missing -= n;
        }
        out.getFD().sync();
        socket.setSoTimeout(QUIET);
        try {
            if (in.read() >= 0) {
                throw new IOException("more bytes than announced");
            }
        } catch (SocketTimeoutException | SocketException e) {
            // nothing more comes, that is fine
        }
    }

    @Override
    public void run() {
        File part = null;
        try (socket) {
            InputStream in = socket.getInputStream();
            readMetadata(in);
            socket.getOutputStream().write("ACK".getBytes(StandardCharsets.US_ASCII));
            part = File.createTempFile(".part", null, new File("."));
            try (FileOutputStream out = new FileOutputStream(part)) {
                readBody(in, out);
            }
            Files.move(part.toPath(), Path.of(name), StandardCopyOption.ATOMIC_MOVE);
            System.out.println("[SAVED] " + name);
        } catch (IOException e) {
            System.out.println("[ERROR] " + e.getMessage());
            if (part != null) {
                part.delete();
            }
        }
    }

    public static void main(String[] args) throws IOException {
        ServerSocket server = new ServerSocket();
        server.setReuseAddress(true);
        server.bind(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 65432));
        System.out.println("[LISTENING] Waiting for connection...");
        while (true) {
            new Thread(new Server(server.accept())).start();
        }
    }
}
