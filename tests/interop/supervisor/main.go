// Command supervisor runs the upstream supervisor of OpenTelemetry Collectors until it is told to end; then it
// ends its collector first.
//
//	supervisor -config FILE
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/opampsupervisor/supervisor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/cmd/opampsupervisor/supervisor/config"
	"github.com/open-telemetry/opentelemetry-collector-contrib/cmd/opampsupervisor/supervisor/telemetry"
)

func supervise(file string) error {
	settings, err := config.Load(file)
	if err != nil {
		return fmt.Errorf("configuration %s: %w", file, err)
	}
	words, err := telemetry.NewLogger(settings.Telemetry.Logs)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	ctx, done := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer done()
	supervisor, err := upstream.NewSupervisor(context.Background(), words, settings)
	if err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	if err := supervisor.Start(context.Background()); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	<-ctx.Done()
	supervisor.Shutdown()
	return nil
}

func main() {
	file := flag.String("config", "", "the supervisor's configuration")
	flag.Parse()
	if err := supervise(*file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
