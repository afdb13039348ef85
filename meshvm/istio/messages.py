"""Which fields do Istio's ProxyConfig, MeshConfig and WorkloadGroup have, and of which types?

Those of Istio 1.30 (istio.io/api: mesh/v1alpha1/proxy.proto, networking/v1alpha3/workload_group.proto).
"""

from typing import Final

from meshvm.istio.canonical import (
    boolean,
    by_name,
    duration,
    enum,
    every,
    message,
    number,
    text,
    unless,
    whole,
    whole_64,
)

_TEXT: Final = unless(text, "")
_INT: Final = unless(whole, 0)
_BOOL: Final = unless(boolean, zero=False)
_TEXTS: Final = every(text)
_OPENED: Final = message(disabled=boolean, enabled=boolean, value=_TEXT)
_ADDRESS: Final = message(address=_TEXT, accessToken=_TEXT)
_NAMED: Final = message(name=_TEXT, defaultValue=_TEXT, value=_TEXT)
_ACCELERATOR: Final = message(pollDelay=duration, fallback=boolean)
_CLIENT_CERTIFICATE: Final = enum(
    "UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"
)
_TLS: Final = message(
    mode=enum("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
    clientCertificate=_TEXT,
    privateKey=_TEXT,
    caCertificates=_TEXT,
    credentialName=_TEXT,
    subjectAltNames=_TEXTS,
    sni=_TEXT,
    insecureSkipVerify=boolean,
    caCrl=_TEXT,
)
_REMOTE: Final = message(
    address=_TEXT,
    tlsSettings=_TLS,
    tcpKeepalive=message(probes=_INT, time=duration, interval=duration),
)
_TRACING: Final = message(
    zipkin=_ADDRESS,
    lightstep=_ADDRESS,
    datadog=_ADDRESS,
    stackdriver=message(
        debug=_BOOL,
        maxNumberOfAttributes=whole_64,
        maxNumberOfAnnotations=whole_64,
        maxNumberOfMessageEvents=whole_64,
    ),
    openCensusAgent=message(
        address=_TEXT,
        context=every(enum("UNSPECIFIED", "W3C_TRACE_CONTEXT", "GRPC_BIN", "CLOUD_TRACE_CONTEXT", "B3", plain=False)),
    ),
    customTags=by_name(message(literal=_NAMED, environment=_NAMED, header=_NAMED)),
    maxPathTagLength=_INT,
    sampling=unless(number, 0),
    tlsSettings=_TLS,
    enableIstioTags=boolean,
)
_HEADERS: Final = message(
    forwardedClientCert=_CLIENT_CERTIFICATE,
    setCurrentClientCertDetails=message(subject=boolean, cert=boolean, chain=boolean, dns=boolean, uri=boolean),
    requestId=_OPENED,
    server=_OPENED,
    attemptCount=_OPENED,
    envoyDebugHeaders=_OPENED,
    metadataExchangeHeaders=message(mode=enum("UNDEFINED", "IN_MESH")),
    preserveHttp1HeaderCase=boolean,
    xForwardedHost=_OPENED,
    xForwardedPort=_OPENED,
)
PROBE: Final = message(
    initialDelaySeconds=_INT,
    timeoutSeconds=_INT,
    periodSeconds=_INT,
    successThreshold=_INT,
    failureThreshold=_INT,
    httpGet=message(path=_TEXT, port=_INT, host=_TEXT, scheme=_TEXT, httpHeaders=every(_NAMED)),
    tcpSocket=message(host=_TEXT, port=_INT),
    exec=message(command=_TEXTS),
    grpc=message(port=_INT, service=_TEXT),
)
PROXY_CONFIG: Final = message(
    **dict.fromkeys(
        (
            "configPath",
            "binaryPath",
            "discoveryAddress",
            "zipkinAddress",
            "statsdUdpAddress",
            "envoyMetricsServiceAddress",
            "availabilityZone",
            "customConfigFile",
            "proxyBootstrapTemplatePath",
            "meshId",
        ),
        _TEXT,
    ),
    **dict.fromkeys(
        ("drainDuration", "discoveryRefreshDelay", "terminationDrainDuration", "fileFlushInterval"), duration
    ),
    **dict.fromkeys(("proxyAdminPort", "statNameLength", "statusPort", "fileFlushMinSizeKb"), _INT),
    # One of two: what is given is written, a default too.
    serviceCluster=text,
    tracingServiceName=enum(
        "APP_LABEL_AND_NAMESPACE", "CANONICAL_NAME_ONLY", "CANONICAL_NAME_AND_NAMESPACE", plain=False
    ),
    controlPlaneAuthPolicy=enum("NONE", "MUTUAL_TLS", INHERIT=1000),
    concurrency=whole,
    interceptionMode=enum("REDIRECT", "TPROXY", "NONE"),
    tracing=_TRACING,
    sds=message(enabled=_BOOL, k8sSaJwtPath=_TEXT),
    envoyAccessLogService=_REMOTE,
    envoyMetricsService=_REMOTE,
    proxyMetadata=by_name(text),
    runtimeValues=by_name(text),
    extraStatTags=_TEXTS,
    gatewayTopology=message(
        numTrustedProxies=_INT, forwardClientCertDetails=_CLIENT_CERTIFICATE, proxyProtocol=message()
    ),
    readinessProbe=PROBE,
    proxyStatsMatcher=message(inclusionPrefixes=_TEXTS, inclusionSuffixes=_TEXTS, inclusionRegexps=_TEXTS),
    holdApplicationUntilProxyStarts=boolean,
    caCertificatesPem=_TEXTS,
    image=message(imageType=_TEXT),
    privateKeyProvider=message(cryptomb=_ACCELERATOR, qat=_ACCELERATOR),
    proxyHeaders=_HEADERS,
    statsCompression=boolean,
)
# The part that reaches the files of a machine.
MESH_CONFIG: Final = message(trustDomain=_TEXT, defaultConfig=PROXY_CONFIG)
WORKLOAD_GROUP: Final = message(
    metadata=message(labels=by_name(text), annotations=by_name(text)),
    template=message(
        address=_TEXT,
        ports=by_name(whole),
        labels=by_name(text),
        network=_TEXT,
        locality=_TEXT,
        weight=_INT,
        serviceAccount=_TEXT,
    ),
    probe=PROBE,
)
