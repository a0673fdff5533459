package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type configCmd struct {
	JSON     bool `name:"json" help:"Print a JSON list."`
	Markdown bool `help:"Print the table of variables for the README instead."`
}

// Help is shown under the command's usage.
func (*configCmd) Help() string {
	return `Every variable with its value in force and where it came from: default, environment, file
(NAME_FILE, for secrets) or dev.json. Secrets show as ***.

Example:
  DAYBOOK_LATENESS=6h daybook config`
}

// setting is one line of `daybook config`.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Run prints what is in force.
func (c *configCmd) Run(a *app) error {
	if c.Markdown {
		_, err := io.WriteString(a.std.out, configTable())
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.MarshalWrite(a.std.out, settings, jsontext.WithIndent("  "))
	}
	w := tabwriter.NewWriter(a.std.out, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.From)
	}
	return w.Flush()
}

// settings joins the variables with what dev.json adds to them.
func (a *app) settings() ([]setting, error) {
	found, err := a.findServers()
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(a.cfg).Elem()
	settings := []setting{{"--data", a.data, fromFlag}}
	if !a.dataGiven {
		settings[0].From = fromDefault
	}
	for _, variable := range variables() {
		s := setting{Name: envPrefix + variable.Name, Value: show(v.Field(variable.index)), From: a.origin[variable.Name]}
		if s.From == fromDefault && found.Dev {
			if value := found.fromDev(variable.Name); value != "" {
				s.Value, s.From = value, fromDevJSON
			}
		}
		settings = append(settings, s)
	}
	return settings, nil
}

// fromDev is what dev.json gives for a variable that is not set.
func (s *servers) fromDev(name string) string {
	switch name {
	case "KAFKA_BROKERS":
		return strings.Join(s.Kafka, ",")
	case "CLICKHOUSE_DSN":
		return s.ClickHouse.Redacted()
	case "API":
		return s.API
	case "ADMIN_KEY":
		return s.AdminKey.String()
	}
	return ""
}

func show(v reflect.Value) string {
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v.Interface())
}

// configTable is the table of variables as the README shows it.
func configTable() string {
	var b strings.Builder
	b.WriteString("| variable | default | what it does |\n|---|---|---|\n")
	for _, v := range variables() {
		standard := "`" + v.Default + "`"
		if v.Default == "" {
			standard = ""
		}
		help := v.Help
		if v.Secret {
			help += " (or `" + envPrefix + v.Name + "_FILE`)"
		}
		fmt.Fprintf(&b, "| `%s%s` | %s | %s |\n", envPrefix, v.Name, standard, help)
	}
	return b.String()
}
