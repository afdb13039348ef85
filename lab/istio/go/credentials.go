// Stand-in, credentials: which token does the agent show: the one of the file, or one that it asks Google's metadata
// server for? And which certificate is its own: a signed one, or one that someone else puts on the disk?
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// spiffeFiles is where a provider other than istiod may put the workload's certificate.
const spiffeFiles = "./var/run/secrets/workload-spiffe-credentials"

// mounted are the files of a certificate that someone else renews.
type mounted struct{ chain, key, root string }

func (m mounted) there() bool {
	for _, path := range []string{m.chain, m.key, m.root} {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

func inFolder(dir string) mounted {
	return mounted{filepath.Join(dir, "cert-chain.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "root-cert.pem")}
}

// readIdentity decides where the certificate comes from.
func (s *settings) readIdentity() error {
	s.identityDir, s.outputDir = os.Getenv("PROV_CERT"), os.Getenv("OUTPUT_CERTS")
	s.fileMounted = on("FILE_MOUNTED_CERTS")
	if s.identityDir != "" && s.fileMounted {
		return fmt.Errorf("invalid options: PROV_CERT and FILE_MOUNTED_CERTS are mutually exclusive")
	}
	switch fetcher := os.Getenv("CREDENTIAL_FETCHER_TYPE"); fetcher {
	case "", "JWT", "GoogleComputeEngine":
	default:
		return fmt.Errorf("failed to create credential fetcher: invalid credential fetcher type %s", fetcher)
	}
	meta, _ := s.node()["metadata"].(map[string]any)
	named := mounted{scalar(meta, "TLS_SERVER_CERT_CHAIN"), scalar(meta, "TLS_SERVER_KEY"), scalar(meta, "TLS_SERVER_ROOT_CERT")}
	const usual = "./etc/certs"
	outputs := s.outputDir != "" && filepath.Clean(s.outputDir) == filepath.Clean(usual)
	switch files := inFolder(spiffeFiles); {
	case files.there():
		info("", "workload certificate files detected, creating secret manager without caClient")
		s.mounted = &files
	case s.fileMounted && named.chain != "":
		s.mounted = &named
	case s.fileMounted, !outputs && inFolder(usual).there():
		// What lies in /etc/certs is served, and never renewed, unless that is where it was put by the agent.
		files = inFolder(usual)
		s.mounted = &files
	}
	return nil
}

// shown are the files of the client certificate for istiod; two empty words mean none.
func (s *settings) shown() (chain, key string) {
	if s.identityDir != "" {
		return filepath.Join(s.identityDir, "cert-chain.pem"), filepath.Join(s.identityDir, "key.pem")
	}
	if s.fileMounted { // of the mesh file alone: the environment does not count here
		meta := child(s.config, "proxyMetadata")
		return scalar(meta, "ISTIO_META_TLS_CLIENT_CERT_CHAIN"), scalar(meta, "ISTIO_META_TLS_CLIENT_KEY")
	}
	return "", ""
}

// trusted is the root that istiod must be signed by.
func (s *settings) trusted() string {
	if _, err := os.Stat("./etc/certs/root-cert.pem"); err == nil {
		return "./etc/certs/root-cert.pem"
	}
	if s.identityDir != "" {
		return filepath.Join(s.identityDir, "root-cert.pem")
	}
	if s.fileMounted {
		return scalar(child(s.config, "proxyMetadata"), "ISTIO_META_TLS_CLIENT_ROOT_CERT")
	}
	return "./var/run/secrets/istio/root-cert.pem"
}

// trustedAuthority is the same for the certificate authority.
func (s *settings) trustedAuthority() string {
	if s.identityDir != "" {
		return filepath.Join(s.identityDir, "root-cert.pem")
	}
	return "./var/run/secrets/istio/root-cert.pem"
}

// token is got anew for each call, so that a fresh one is picked up without a restart. No file is no error; a metadata
// server that does not answer is.
func token() (string, error) {
	if os.Getenv("CREDENTIAL_FETCHER_TYPE") == "GoogleComputeEngine" {
		text, err := metadataToken(os.Getenv("TRUST_DOMAIN"))
		if err != nil {
			failure("gcecred", "Failed to get vm identity token from metadata server: %v", err)
			return "", &refusal{"Unauthenticated",
				fmt.Sprintf("transport: per-RPC creds failed due to error: fetch platform credential: %v", err)}
		}
		return text, nil
	}
	text, err := os.ReadFile(tokenPath)
	if err != nil {
		return "", nil
	}
	return strings.TrimSpace(string(text)), nil
}

// metadataToken asks for the instance's identity, for the audience, and leaves a copy where the token file would lie.
func metadataToken(audience string) (string, error) {
	host := or(os.Getenv("GCE_METADATA_HOST"), "169.254.169.254")
	asked := "instance/service-accounts/default/identity?audience=" + audience + "&format=full"
	address := "http://" + host + "/computeMetadata/v1/" + asked
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Metadata-Flavor", "Google")
	reply, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	switch {
	case err != nil:
		return "", err
	case reply.StatusCode == http.StatusNotFound:
		return "", fmt.Errorf("metadata: GCE metadata %q not defined", asked)
	case reply.StatusCode != http.StatusOK:
		return "", fmt.Errorf("compute: Received %d `%s`", reply.StatusCode, text)
	}
	if err := os.WriteFile(tokenPath, text, 0o640); err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// serveMounted takes the files into use, and again whenever they change; nobody renews them here.
func (a *agent) serveMounted(files mounted) {
	info("", "Workload is using file mounted certificates. Skipping connecting to CA")
	seen := ""
	for ; ; time.Sleep(500 * time.Millisecond) {
		now := ""
		texts := [][]byte{}
		for _, path := range []string{files.chain, files.key, files.root} {
			text, err := os.ReadFile(path)
			if err != nil {
				warn("sds", "failed to warm certificate: failed to generate secret for proxy from file: %v", err)
			}
			texts, now = append(texts, text), now+"\x00"+string(text)
		}
		if now == seen {
			continue
		}
		signed, err := newWorkload(texts[1], []string{string(texts[0])}, string(texts[2]))
		if err != nil { // a certificate before its key: half of a renewal
			warn("sds", "failed to warm certificate: %v", err)
			continue
		}
		seen = now
		a.mutex.Lock()
		a.workload = signed
		a.mutex.Unlock()
		info("cache", "read certificate from file")
		if err := keep(a.settings.outputDir, texts[1], []string{string(texts[0])}, string(texts[2])); err != nil {
			failure("cache", "error when output the key and certificate: %v", err)
		}
	}
}
