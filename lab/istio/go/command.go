// Stand-in, commands: what an operator asks of a running agent: request, wait, version.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

// words are the arguments without flags; flags may stand before, between or behind them.
func words(flags *flag.FlagSet, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	rest := []string{}
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

func requestCommand(args []string) error {
	flags := flag.NewFlagSet("request", flag.ContinueOnError)
	port := flags.Int("debug-port", 15000, "")
	rest, err := words(flags, args)
	if err != nil {
		return err
	}
	if len(rest) < 2 || len(rest) > 3 {
		return fmt.Errorf("accepts between 2 and 3 arg(s), received %d", len(rest))
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/%s", *port, strings.TrimPrefix(rest[1], "/"))
	request, err := http.NewRequest(rest[0], url, strings.NewReader(strings.Join(rest[2:], "")))
	if err != nil {
		return err
	}
	reply, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return fmt.Errorf("failed to execute command on Envoy: %w", err)
	}
	defer reply.Body.Close()
	if _, err := io.Copy(os.Stdout, reply.Body); err != nil {
		return err
	}
	if reply.StatusCode >= 300 {
		return fmt.Errorf("unexpected status code %d", reply.StatusCode)
	}
	return nil
}

func waitCommand(args []string) error {
	flags := flag.NewFlagSet("wait", flag.ContinueOnError)
	limit := flags.Int("timeoutSeconds", 60, "")
	each := flags.Int("requestTimeoutMillis", 500, "")
	period := flags.Int("periodMillis", 500, "")
	url := flags.String("url", "http://localhost:15021/healthz/ready", "")
	if _, err := words(flags, args); err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Duration(*each) * time.Millisecond}
	info("", "Waiting for Envoy proxy to be ready (timeout: %d seconds)...", *limit)
	var last error
	for end := time.Now().Add(time.Duration(*limit) * time.Second); time.Now().Before(end); {
		time.Sleep(time.Duration(*period) * time.Millisecond)
		reply, err := client.Get(*url)
		if err == nil {
			reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				info("", "Envoy is ready!")
				return nil
			}
			err = fmt.Errorf("HTTP status code %d", reply.StatusCode)
		}
		last = err
	}
	return fmt.Errorf("timeout waiting for Envoy proxy to become ready. Last error: %w", last)
}

func versionCommand(args []string) error {
	flags := flag.NewFlagSet("version", flag.ContinueOnError)
	short, form := false, ""
	flags.BoolVar(&short, "s", false, "")
	flags.BoolVar(&short, "short", false, "")
	flags.StringVar(&form, "o", "", "")
	flags.StringVar(&form, "output", "", "")
	if _, err := words(flags, args); err != nil {
		return err
	}
	build := map[string]string{"version": version, "revision": "stand-in", "golang_version": runtime.Version(),
		"status": "Clean", "tag": version}
	switch {
	case form == "json":
		text, err := json.MarshalIndent(map[string]any{"clientVersion": build}, "", "  ")
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	case form == "yaml":
		fmt.Printf("clientVersion:\n  golang_version: %s\n  revision: stand-in\n  status: Clean\n  tag: %s\n  version: %s\n\n",
			runtime.Version(), version, version)
	case form != "":
		return fmt.Errorf("--output must be 'yaml' or 'json'")
	case short:
		fmt.Println("client version:", version)
	default:
		fmt.Printf("client version: version.BuildInfo{Version:%q, GitRevision:\"stand-in\", GolangVersion:%q, BuildStatus:\"Clean\", GitTag:%q}\n",
			version, runtime.Version(), version)
	}
	return nil
}
