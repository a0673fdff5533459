package apache

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// clusterID is any 16 bytes in base64; all nodes of a cluster are formatted
// with the same.
const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"

// properties is the configuration of one node, as Java reads it.
func (c *Cluster) properties(n *node) string {
	var voters []string
	for _, other := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", other.id, other.controller))
	}
	replicas, inSync := strconv.Itoa(len(c.nodes)), strconv.Itoa(len(c.nodes)/2+1)
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.id),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"controller.listener.names":      "CONTROLLER",
		"listeners":                      "PLAINTEXT://" + n.addr + ",CONTROLLER://" + n.controller,
		"advertised.listeners":           "PLAINTEXT://" + n.addr,
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs":                       filepath.Join(n.dir, "log"),

		"default.replication.factor":               replicas,
		"min.insync.replicas":                      inSync,
		"offsets.topic.replication.factor":         replicas,
		"transaction.state.log.replication.factor": replicas,
		"transaction.state.log.min.isr":            inSync,
		"auto.create.topics.enable":                "false",

		// A dead node is fenced after 2 s in place of 9 s; after kill -9 one node
		// is back in 3.6 s in place of 12 s (KAFKA.md section 11).
		"broker.session.timeout.ms":    "2000",
		"broker.heartbeat.interval.ms": "500",
		"replica.lag.time.max.ms":      "5000",

		// Tests have short sessions and do not wait for a group to fill.
		"group.min.session.timeout.ms":                                "100",
		"group.initial.rebalance.delay.ms":                            "0",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",

		// By default 50 partitions each: files, threads and seconds for nothing.
		"offsets.topic.num.partitions":         "4",
		"transaction.state.log.num.partitions": "4",

		// Made for servers of 64 GB: the buffer alone is half of our heap.
		"log.cleaner.dedupe.buffer.size":  strconv.Itoa(8 << 20),
		"log.cleaner.backoff.ms":          "500",
		"log.retention.check.interval.ms": "2000",
		"num.io.threads":                  "4",
		"num.network.threads":             "2",
		"background.threads":              "4",
	}
	maps.Copy(p, c.opts.Config)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&text, "%s=%s\n", name, p[name])
	}
	return text.String()
}
