package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/clickhouse/readapi"
	"daybook/pipeline/source"
	"daybook/schemas"
	"daybook/schemas/zones"
)

type networkCmd struct {
	Set  networkSetCmd  `cmd:"" help:"Make or change a network."`
	List networkListCmd `cmd:"" help:"List the networks and what is in force."`
}

type networkSetCmd struct {
	Network   string        `arg:"" help:"Network id: [a-z0-9][a-z0-9._-]{0,63}."`
	Zone      string        `help:"IANA time zone of users without one on record (default UTC)." placeholder:"ZONE"`
	Gap       time.Duration `help:"Longest pause inside a session, 1m to 4h (default 30m)." placeholder:"D"`
	Title     *string       `help:"Name to show."`
	Retention *int          `name:"retention-days" help:"Days that stored events are kept, at least 30; 0: for ever (default). Older records are rejected as too_old." placeholder:"N"`
	Recording string        `help:"Record events from now on: on or off." enum:"on,off," default:"" placeholder:"on|off"`
}

// Help is shown under the command's usage.
func (*networkSetCmd) Help() string {
	return `Only what is named changes. The change is acknowledged when every partition of the log holds it;
it acts on what follows, and rewrites nothing that was accepted before.

Example:
  daybook network set acme --zone Europe/Prague --gap 20m`
}

type networkListCmd struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// Help is shown under the command's usage.
func (*networkListCmd) Help() string {
	return `Example:
  daybook network list`
}

// openSettings finds Kafka and the installation's key.
func (a *app) openSettings(client *source.Client) (*networkSettings, error) {
	key, err := a.installationKey(false)
	if err != nil {
		return nil, err
	}
	return &networkSettings{kafka: client, key: key, now: time.Now}, nil
}

// withSettings runs do with a client of the servers that were found.
func (a *app) withSettings(ctx context.Context, do func(*networkSettings) error) error {
	found, err := a.needKafka()
	if err != nil {
		return err
	}
	if _, err := a.installationKey(false); err != nil {
		return err // before Kafka is waited for
	}
	client, err := a.openTopic(ctx, found.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	settings, err := a.openSettings(client)
	if err != nil {
		return err
	}
	return do(settings)
}

// Run changes the network.
func (c *networkSetCmd) Run(ctx context.Context, a *app) error {
	change := readapi.NetworkChange{Title: c.Title}
	if c.Zone != "" {
		if _, err := zones.Load(c.Zone); err != nil {
			return fmt.Errorf("set network %s: %q is no IANA time zone; write for example Europe/Prague", c.Network, c.Zone)
		}
		change.Zone = &c.Zone
	}
	if c.Gap != 0 {
		if _, err := parseGap(c.Gap); err != nil {
			return err
		}
		change.Gap = &c.Gap
	}
	if r := c.Retention; r != nil {
		if *r != 0 && (*r < schemas.MinRetentionDays || *r > schemas.MaxRetentionDays) {
			return fmt.Errorf("set network %s: --retention-days %d must be 0 (for ever) or between %d and %d", c.Network, *r, schemas.MinRetentionDays, schemas.MaxRetentionDays)
		}
		change.Retention = r
	}
	if c.Recording != "" {
		on := c.Recording == "on"
		change.Recording = &on
	}
	return a.withSettings(ctx, func(settings *networkSettings) error {
		now, err := settings.PutNetwork(ctx, c.Network, change)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.std.out, "network %s: zone %s, gap %s, recording %s, events kept %s\n", c.Network, now.Zone, now.Gap, onOff(now.Recording), keptFor(now.Retention))
		return nil
	})
}

// Run lists the networks.
func (c *networkListCmd) Run(ctx context.Context, a *app) error {
	return a.withSettings(ctx, func(settings *networkSettings) error {
		all, err := settings.List(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			for i := range all {
				if err := json.MarshalWrite(a.std.out, &all[i]); err != nil {
					return err
				}
				fmt.Fprintln(a.std.out)
			}
			return nil
		}
		w := tabwriter.NewWriter(a.std.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NETWORK\tZONE\tGAP\tRECORDING\tEVENTS KEPT\tTITLE")
		for _, control := range all {
			now := inForce(control, false)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", control.Network, now.Zone, now.Gap, onOff(now.Recording), keptFor(now.Retention), now.Title)
		}
		return w.Flush()
	})
}

func keptFor(days int) string {
	if days == 0 {
		return "for ever"
	}
	return fmt.Sprintf("%d days", days)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
