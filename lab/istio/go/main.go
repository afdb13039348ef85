// Command pilot-agent is a stand-in for the program of the same name in Istio's sidecar package, and for the Envoy
// that it starts: the part of their behaviour that can be seen on a virtual machine. It proves who it is to the lab's
// istiod, forwards captured connections, answers on Envoy's ports and probes the application. It is not Istio.
package main

import (
	"fmt"
	"os"
)

// version is what the package says it is; the build sets it.
var version = "1.30.3"

// broken builds an agent that runs and never becomes ready: for trying an upgrade that fails.
var broken = ""

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("name a command: proxy, request, wait, version or istio-iptables")
	}
	switch args[0] {
	case "proxy":
		return proxyCommand(args[1:])
	case "request":
		return requestCommand(args[1:])
	case "wait":
		return waitCommand(args[1:])
	case "version":
		return versionCommand(args[1:])
	case "istio-iptables":
		return rulesCommand(args[1:])
	}
	return fmt.Errorf("unknown command %q for \"pilot-agent\"", args[0])
}

func envoyVersion() string {
	return "0000000000000000000000000000000000000000/1.38.3-stand-in/Clean/RELEASE/none"
}
