import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/**
 * An in-memory server for the MongoDB protocol on a free loopback port, which it prints.
 * It ends when its standard input does, so it never outlives the process that started it.
 */
class Server {
    public static void main(String[] args) throws Exception {
        MongoServer server = new MongoServer(new MemoryBackend());
        server.bind("127.0.0.1", 0);
        System.out.println(server.getLocalAddress().getPort());
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
