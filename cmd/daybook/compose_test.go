package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	compose "github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// There is no Docker engine where the suite runs, so docker-compose.yml is
// read by the library that Docker Compose itself reads it with: what it
// accepts here, Compose accepts there.

const top = "../.." // the project's top folder

func subcommandNames(t *testing.T) []string {
	t.Helper()
	parser, err := newParser(new(cli), stdio{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, node := range parser.Model.Children {
		names = append(names, node.Name)
	}
	return names
}

func loadCompose(t *testing.T, environ ...string) *types.Project {
	t.Helper()
	options, err := compose.NewProjectOptions(
		[]string{filepath.Join(top, "docker-compose.yml")},
		compose.WithEnv(environ), // and nothing of the machine's own environment
		compose.WithInterpolation(true),
		compose.WithConsistency(true),
	)
	if err != nil {
		t.Fatalf("read compose options: %v", err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("load docker-compose.yml: %v", err)
	}
	return project
}

func TestCompose_BringsEveryPart(t *testing.T) {
	project := loadCompose(t)
	want := []string{"api", "clickhouse", "kafka", "migrate", "worker"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(project.Services))); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	worker := project.Services["worker"]
	if n := worker.GetScale(); n != 2 {
		t.Errorf("worker: %d replicas, want 2", n)
	}
	for name, command := range map[string]string{"worker": "worker", "api": "serve", "migrate": "migrate"} {
		got := project.Services[name].Command
		if !slices.Equal(got, types.ShellCommand{command}) {
			t.Errorf("%s: runs %q, want %q", name, got, command)
		}
		if !slices.Contains(subcommandNames(t), command) {
			t.Errorf("%s: the binary has no subcommand %q", name, command)
		}
	}
}

// A worker that starts before the tables exist would only restart until they
// do; a migration that starts before its servers would fail for good.
func TestCompose_StartsInOrder(t *testing.T) {
	project := loadCompose(t)
	servers := map[string]string{
		"kafka":      types.ServiceConditionHealthy,
		"clickhouse": types.ServiceConditionHealthy,
	}
	all := maps.Clone(servers)
	all["migrate"] = types.ServiceConditionCompletedSuccessfully
	for name, want := range map[string]map[string]string{"migrate": servers, "worker": all, "api": all} {
		got := make(map[string]string)
		for on, dep := range project.Services[name].DependsOn {
			got[on] = dep.Condition
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s depends on (-want +got):\n%s", name, diff)
		}
	}
	for name, service := range project.Services {
		if name != "migrate" && (service.HealthCheck == nil || len(service.HealthCheck.Test) == 0) {
			t.Errorf("%s: has no health check", name)
		}
	}
}

// The binary refuses a variable that it does not know, so a misspelt one here
// would stop every container; and every value must pass its own check.
func TestCompose_SettingsAreTheBinarysOwn(t *testing.T) {
	project := loadCompose(t)
	known := make(map[string]bool)
	for _, v := range variables() {
		known[envPrefix+v.Name] = true
	}
	for name, service := range project.Services {
		var environ []string
		for key, value := range service.Environment {
			if !strings.HasPrefix(key, envPrefix) {
				continue
			}
			if !known[key] {
				t.Errorf("%s: sets %s, which the binary does not know", name, key)
			}
			if value == nil {
				t.Errorf("%s: %s has no value in a bare environment", name, key)
				continue
			}
			environ = append(environ, key+"="+*value)
		}
		if _, _, err := readConfig(environ); err != nil {
			t.Errorf("%s: its settings are refused: %v", name, err)
		}
	}
}

func TestCompose_SecretsComeFromTheEnvironment(t *testing.T) {
	key := strings.Repeat("ab", 32)
	project := loadCompose(t, "CLICKHOUSE_PASSWORD=pw1", "ADMIN_KEY=an-admin-key-of-mine", "INSTALLATION_KEY="+key)
	want := map[string]string{
		"DAYBOOK_CLICKHOUSE_DSN":   "http://daybook:pw1@clickhouse:8123/daybook",
		"DAYBOOK_ADMIN_KEY":        "an-admin-key-of-mine",
		"DAYBOOK_INSTALLATION_KEY": key,
	}
	for _, name := range []string{"migrate", "worker", "api"} {
		for variable, value := range want {
			if got := project.Services[name].Environment[variable]; got == nil || *got != value {
				t.Errorf("%s: %s does not follow the environment", name, variable)
			}
		}
	}
	if got := project.Services["clickhouse"].Environment["CLICKHOUSE_PASSWORD"]; got == nil || *got != "pw1" {
		t.Error("clickhouse: its password does not follow the environment")
	}
}

// An unpinned image is another program tomorrow. A tag like 4 or latest moves;
// a whole version does not; of Debian a point release is whole.
func TestCompose_ImagesArePinned(t *testing.T) {
	version := regexp.MustCompile(`(:\d+\.\d+\.\d+(\.\d+)?(-[a-z]+)?|^debian:\d+\.\d+-slim)$`)
	for name, service := range loadCompose(t).Services {
		if service.Build == nil && !version.MatchString(service.Image) {
			t.Errorf("%s: image %q is not pinned to a whole version", name, service.Image)
		}
	}
	dockerfile, err := os.ReadFile(filepath.Join(top, ".docker", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(dockerfile), -1)
	if len(from) != 2 {
		t.Fatalf("Dockerfile: %d stages, want 2", len(from))
	}
	if strings.Contains(from[1][1], "alpine") || strings.Contains(from[1][1], "scratch") || strings.Contains(from[1][1], "static") {
		t.Errorf("Dockerfile: image %q has no glibc, which the binary is linked against", from[1][1])
	}
	for _, match := range from {
		if !version.MatchString(match[1]) {
			t.Errorf("Dockerfile: image %q is not pinned to a whole version", match[1])
		}
	}
}

func TestCompose_PublishesOnLoopbackOnly(t *testing.T) {
	got := make(map[string][]string)
	for name, service := range loadCompose(t).Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published on %q, want loopback", name, port.Published, port.HostIP)
			}
			got[name] = append(got[name], port.Published)
		}
	}
	want := map[string][]string{"api": {"7311"}, "clickhouse": {"8123"}, "kafka": {"9092"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published ports (-want +got):\n%s", diff)
	}
}

// What must outlive a container lies in a named volume, and every file that is
// mounted or built from exists.
func TestCompose_KeepsItsData(t *testing.T) {
	project := loadCompose(t)
	for name, target := range map[string]string{"kafka": "/var/lib/kafka/data", "clickhouse": "/var/lib/clickhouse"} {
		service := project.Services[name]
		kept := slices.ContainsFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Type == types.VolumeTypeVolume && v.Target == target
		})
		if !kept {
			t.Errorf("%s: %s is not a named volume", name, target)
		}
	}
	for name, service := range project.Services {
		for _, v := range service.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: mounts a file that does not exist: %v", name, err)
			}
		}
		if service.Build != nil {
			if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
				t.Errorf("%s: is built from a file that does not exist: %v", name, err)
			}
		}
	}
}
