import com.google.gson.Gson;
import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Calls `xds:///` targets with grpc-java's own xDS client.
 *
 * <p>Each line of standard input is a call, {"target": …, "deadline": seconds}; each line of
 * standard output is its outcome, {"code": …, "said": the answer or the details, "seconds": …}. A
 * target keeps its channel.
 */
public final class Caller {
  private record Request(String target, double deadline) {}

  private record Outcome(String code, String said, double seconds) {}

  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] message) {
          return new ByteArrayInputStream(message);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        }
      };

  private static final MethodDescriptor<byte[], byte[]> METHOD =
      MethodDescriptor.<byte[], byte[]>newBuilder()
          .setType(MethodDescriptor.MethodType.UNARY)
          .setFullMethodName("hello.Hello/SayHello")
          .setRequestMarshaller(BYTES)
          .setResponseMarshaller(BYTES)
          .build();

  private final Map<String, ManagedChannel> channels = new HashMap<>();

  private Outcome call(Request request) {
    ChannelCredentials plaintext = InsecureChannelCredentials.create();
    ManagedChannel channel =
        channels.computeIfAbsent(
            request.target(), target -> Grpc.newChannelBuilder(target, plaintext).build());
    long within = (long) (request.deadline() * 1000);
    CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(within, TimeUnit.MILLISECONDS);
    long began = System.nanoTime();
    String code = "OK";
    String said;
    try {
      byte[] answer = ClientCalls.blockingUnaryCall(channel, METHOD, options, new byte[0]);
      said = new String(answer, StandardCharsets.UTF_8);
    } catch (StatusRuntimeException error) {
      code = error.getStatus().getCode().name();
      said = String.valueOf(error.getStatus().getDescription());
    }
    return new Outcome(code, said, (System.nanoTime() - began) / 1e9);
  }

  public static void main(String[] arguments) throws IOException {
    Gson gson = new Gson();
    Caller caller = new Caller();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      System.out.println(gson.toJson(caller.call(gson.fromJson(line, Request.class))));
      System.out.flush();
    }
    System.exit(0);
  }
}
