package apache

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Options say how a cluster runs. Only Dir is required.
type Options struct {
	Dir    string            // holds logs, properties and what the nodes print; made if missing, must be empty
	Nodes  int               // 1 or 3; 1 if 0
	HeapMB int               // of each node; 256 if 0
	Config map[string]string // broker properties beside or instead of the cluster's own (properties.go)
	Jars   string            // folder of the jars; .kafka/jars of the project if empty
	Java   string            // the executable; "java" if empty
}

// ErrNotFetched says that the jars or Java are missing; its text has the remedy.
var ErrNotFetched = errors.New("no Apache Kafka")

func (o Options) withDefaults() (Options, error) {
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Nodes != 1 && o.Nodes != 3 {
		return o, fmt.Errorf("start kafka: %d nodes, want 1 or 3", o.Nodes)
	}
	if o.HeapMB == 0 {
		o.HeapMB = 256
	}
	if o.Java == "" {
		o.Java = "java"
	}
	if _, err := exec.LookPath(o.Java); err != nil {
		return o, fmt.Errorf("start kafka: %w: %w. Remedy: install Java 17 or newer (Debian: apt-get install default-jre-headless)", ErrNotFetched, err)
	}
	if o.Jars == "" {
		top, err := projectFolder()
		if err != nil {
			return o, err
		}
		o.Jars = filepath.Join(top, ".kafka", "jars")
	}
	if found, _ := filepath.Glob(filepath.Join(o.Jars, "kafka_*.jar")); len(found) == 0 {
		return o, fmt.Errorf("start kafka: %w: no kafka jar in %s. Remedy: make kafka", ErrNotFetched, o.Jars)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return o, fmt.Errorf("start kafka in %q: no folder: %w", o.Dir, err)
	}
	o.Dir = dir
	return o, nil
}

// projectFolder is the folder above the working one that has go.mod: tests run
// in the folder of their package.
func projectFolder() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("start kafka: no go.mod above %s; name the folder of the jars", start)
		}
	}
}
