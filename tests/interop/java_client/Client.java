// An agent of ours on the published OpAMP client for Java. It prints one JSON object a line for everything that
// happens, so that a test in another language can follow it, and ends on SIGTERM.
//
//   Client library                          what the library lets a program turn on, and what it hands to one
//   Client ws|http URL UID SECONDS          run; OPAMP_TOKEN holds the bearer token, OPAMP_CA a file with the CA
//
// SECONDS is the time between two polls. Over WebSocket the library sends nothing by itself once it has connected,
// not even when it is asked for its full state; so there the program says every SECONDS that its effective
// configuration may be new, which is what the library has to send with.
//
// Its configuration is flat YAML: `log_level: debug|info|error`, in one or several objects. Anything else is
// refused as a whole, with the reason.

import io.opentelemetry.opamp.client.OpampClient;
import io.opentelemetry.opamp.client.OpampClientBuilder;
import io.opentelemetry.opamp.client.internal.connectivity.http.OkHttpSender;
import io.opentelemetry.opamp.client.internal.connectivity.websocket.OkHttpWebSocket;
import io.opentelemetry.opamp.client.internal.request.delay.PeriodicDelay;
import io.opentelemetry.opamp.client.internal.request.delay.RetryPeriodicDelay;
import io.opentelemetry.opamp.client.internal.request.service.HttpRequestService;
import io.opentelemetry.opamp.client.internal.request.service.WebSocketRequestService;
import io.opentelemetry.opamp.client.internal.response.MessageData;
import io.opentelemetry.opamp.client.internal.state.State;
import io.opentelemetry.opamp.client.request.service.RequestService;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.OkHttpClient;
import okio.ByteString;
import opamp.proto.AgentConfigFile;
import opamp.proto.AgentConfigMap;
import opamp.proto.AgentRemoteConfig;
import opamp.proto.RemoteConfigStatus;
import opamp.proto.RemoteConfigStatuses;
import opamp.proto.ServerErrorResponse;

public final class Client implements OpampClient.Callbacks {
  private static final List<String> LEVELS = List.of("debug", "info", "error");

  /** The library does not answer a server's close frame, and waits for ever; a ping that fails ends its wait. */
  private static final Duration PING_INTERVAL = Duration.ofSeconds(1);

  private final Effective effective = new Effective();

  /** What this agent runs on; the library asks for it whenever it sends it. */
  private static final class Effective extends State.EffectiveConfig {
    private volatile Map<String, AgentConfigFile> objects = Map.of("", object("log_level: info\n"));

    private static AgentConfigFile object(String text) {
      return new AgentConfigFile(ByteString.encodeUtf8(text), "text/yaml", ByteString.EMPTY);
    }

    @Override
    public opamp.proto.EffectiveConfig get() {
      return new opamp.proto.EffectiveConfig(new AgentConfigMap(objects, ByteString.EMPTY), ByteString.EMPTY);
    }
  }

  public static void main(String[] words) throws Exception {
    if (words[0].equals("library")) {
      sayMethods("can", OpampClientBuilder.class, "enable");
      sayMethods("hears", MessageData.class, "get");
      return;
    }
    new Client().run(words[0], words[1], words[2], Duration.ofMillis((long) (1000 * Double.parseDouble(words[3]))));
  }

  private static void sayMethods(String event, Class<?> type, String prefix) {
    for (Method method : type.getDeclaredMethods()) {
      if (method.getName().startsWith(prefix)) {
        say(event, Map.of("name", method.getName()));
      }
    }
  }

  private void run(String transport, String url, String uid, Duration pause) throws Exception {
    OpampClient client =
        OpampClient.builder()
            .setRequestService(service(transport, url, pause))
            .setInstanceUid(bytes(UUID.fromString(uid)))
            .putIdentifyingAttribute("service.name", "java-agent")
            .putIdentifyingAttribute("service.version", "1.0.0")
            .putNonIdentifyingAttribute("os.type", "linux")
            .enableRemoteConfig()
            .enableEffectiveConfigReporting()
            .setEffectiveConfigState(effective)
            .build(this);
    ScheduledExecutorService ticker = Executors.newSingleThreadScheduledExecutor();
    if (transport.equals("ws")) {
      long every = pause.toMillis();
      ticker.scheduleAtFixedRate(effective::notifyUpdate, every, every, TimeUnit.MILLISECONDS);
    }
    Runnable end =
        () -> {
          ticker.shutdownNow();
          try {
            client.close();
            say("ended", Map.of());
          } catch (IOException error) {
            say("failed", Map.of("error", error.toString()));
          }
        };
    Runtime.getRuntime().addShutdownHook(new Thread(end));
    new CountDownLatch(1).await();
  }

  private static RequestService service(String transport, String url, Duration pause) throws Exception {
    OkHttpClient http = http();
    PeriodicDelay retry = RetryPeriodicDelay.create(Duration.ofSeconds(1));
    if (transport.equals("ws")) {
      return WebSocketRequestService.create(OkHttpWebSocket.create(url, http), retry);
    }
    PeriodicDelay poll = PeriodicDelay.ofFixedDuration(pause);
    return HttpRequestService.create(OkHttpSender.create(url, http), poll, retry);
  }

  /** Return a client that trusts one CA, presents no certificate and sends the bearer token with each request. */
  private static OkHttpClient http() throws Exception {
    X509TrustManager trust = trustInOnly(System.getenv("OPAMP_CA"));
    SSLContext tls = SSLContext.getInstance("TLSv1.3");
    tls.init(null, new X509TrustManager[] {trust}, null);
    String bearer = "Bearer " + System.getenv("OPAMP_TOKEN");
    return new OkHttpClient.Builder()
        .pingInterval(PING_INTERVAL)
        .sslSocketFactory(tls.getSocketFactory(), trust)
        .addInterceptor(
            chain -> {
              var answer = chain.proceed(chain.request().newBuilder().header("Authorization", bearer).build());
              if (answer.code() >= 400) {
                say("refused_by_server", Map.of("status", String.valueOf(answer.code())));
              }
              return answer;
            })
        .build();
  }

  private static X509TrustManager trustInOnly(String file) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = new FileInputStream(file)) {
      int number = 0;
      for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        store.setCertificateEntry("ca-" + number++, certificate);
      }
    }
    TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return Arrays.stream(factory.getTrustManagers())
        .filter(X509TrustManager.class::isInstance)
        .map(X509TrustManager.class::cast)
        .findFirst()
        .orElseThrow(() -> new GeneralSecurityException("no X.509 trust manager"));
  }

  @Override
  public void onConnect(OpampClient client) {
    say("connected", Map.of());
  }

  @Override
  public void onConnectFailed(OpampClient client, Throwable error) {
    say("failed", Map.of("error", String.valueOf(error)));
  }

  @Override
  public void onErrorResponse(OpampClient client, ServerErrorResponse error) {
    say("error_response", Map.of("error", error.error_message));
  }

  @Override
  public void onMessage(OpampClient client, MessageData message) {
    AgentRemoteConfig offered = message.getRemoteConfig();
    if (offered == null) {
      return;
    }
    RemoteConfigStatus.Builder status =
        new RemoteConfigStatus.Builder().last_remote_config_hash(offered.config_hash);
    try {
      Map<String, String> settings = understand(offered.config);
      effective.objects = offered.config.config_map;
      effective.notifyUpdate();
      client.setRemoteConfigStatus(
          status.status(RemoteConfigStatuses.RemoteConfigStatuses_APPLIED).error_message("").build());
      say("applied", Map.of("hash", offered.config_hash.hex(), "settings", settings.toString()));
    } catch (IllegalArgumentException error) {
      client.setRemoteConfigStatus(
          status
              .status(RemoteConfigStatuses.RemoteConfigStatuses_FAILED)
              .error_message(error.getMessage())
              .build());
      say("refused", Map.of("hash", offered.config_hash.hex(), "error", error.getMessage()));
    }
  }

  /** Return the settings in a configuration, or throw what is wrong with it. */
  private static Map<String, String> understand(AgentConfigMap config) {
    Map<String, String> settings = new TreeMap<>();
    for (Map.Entry<String, AgentConfigFile> object : config.config_map.entrySet()) {
      for (String line : object.getValue().body.utf8().split("\n")) {
        String[] parts = line.split(":", 2);
        if (parts.length != 2 || !parts[0].equals("log_level")) {
          throw new IllegalArgumentException(object.getKey() + ": unknown setting " + line);
        }
        if (!LEVELS.contains(parts[1].strip())) {
          throw new IllegalArgumentException(object.getKey() + ": log_level is " + parts[1].strip());
        }
        settings.put(parts[0], parts[1].strip());
      }
    }
    return settings;
  }

  private static byte[] bytes(UUID uid) {
    return ByteBuffer.allocate(16)
        .putLong(uid.getMostSignificantBits())
        .putLong(uid.getLeastSignificantBits())
        .array();
  }

  private static synchronized void say(String event, Map<String, String> fields) {
    Map<String, String> line = new LinkedHashMap<>(Map.of("event", event));
    line.putAll(fields);
    String text =
        line.entrySet().stream()
            .map(one -> quoted(one.getKey()) + ": " + quoted(one.getValue()))
            .collect(Collectors.joining(", ", "{", "}\n"));
    System.out.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    System.out.flush();
  }

  private static String quoted(String text) {
    return '"' + text.replaceAll("[\\p{Cntrl}\"\\\\]", "_") + '"';
  }
}
