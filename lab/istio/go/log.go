// Stand-in, logging: lines of the shape that Istio's agent writes: time, level, scope, message, parted by tabs.
package main

import (
	"fmt"
	"os"
	"time"
)

func logged(level, scope, format string, values ...any) {
	at := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	if scope != "" {
		scope += "\t"
	}
	fmt.Fprintf(os.Stdout, "%s\t%s\t%s%s\n", at, level, scope, fmt.Sprintf(format, values...))
}

func info(scope, format string, values ...any)    { logged("info", scope, format, values...) }
func warn(scope, format string, values ...any)    { logged("warn", scope, format, values...) }
func failure(scope, format string, values ...any) { logged("error", scope, format, values...) }
