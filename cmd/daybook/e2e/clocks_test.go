package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// A producer's clock that stands in 1900, 2400 or a year ahead moves nothing: no
// watermark, no horizon, no partition of a table, and nothing of another network.
func TestClocks_NonsenseMovesNothing(t *testing.T) {
	d := startDev(t, t.TempDir())
	d.run(0, "network", "set", "good")
	d.run(0, "network", "set", "odd")
	client, err := source.New(source.Config{Brokers: d.Kafka})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	now := time.Now().UTC().Truncate(time.Second)
	send := func(network string, i int, at time.Time) {
		t.Helper()
		value := fmt.Appendf(nil, `{"id":"%d","network":%q,"user":"u","time":%q}`, i, network, at.Format(time.RFC3339))
		if err := client.Produce(t.Context(), []source.Outgoing{{Key: schemas.AppendKey(nil, network, "u"), Value: value, Partition: -1}}); err != nil {
			t.Fatal(err)
		}
	}
	years := []int{1, 1900, 1989, 2101, 2400, 9999}
	for i, year := range years {
		send("odd", i, time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC))
		send("odd", 100+i, now.Add(time.Duration(300+i)*24*time.Hour)) // set to received
		send("odd", 200+i, now.Add(time.Duration(400+i)*24*time.Hour)) // rejected
		send("good", i, now.Add(time.Duration(i)*time.Second))
	}
	n := int64(len(years))
	d.await("every record", func() bool {
		return d.number(`SELECT count() FROM daybook.events`) == 2*n && d.number(`SELECT count() FROM daybook.rejects WHERE reason = 'time_out_of_range'`) == 2*n
	})
	if got := d.number(`SELECT count() FROM daybook.events WHERE abs(dateDiff('minute', time, now())) > 10`); got != 0 {
		t.Errorf("%d events are stored with a time far from now", got)
	}
	if got := d.number(`SELECT count() FROM daybook.progress WHERE abs(dateDiff('minute', watermark, now())) > 10`); got != 0 {
		t.Errorf("%d watermarks are far from now", got)
	}
	year, next := now.Format("2006"), now.AddDate(0, 0, 1).Format("2006")
	for _, row := range d.sql(`SELECT DISTINCT table, partition FROM system.parts WHERE database = 'daybook' AND active AND match(partition, '[0-9]{4}')`) {
		if !strings.Contains(row[1], year) && !strings.Contains(row[1], next) {
			t.Errorf("table %s has a partition %s", row[0], row[1])
		}
	}
	var status struct {
		Networks []struct {
			Network string
			Horizon *time.Time
		}
	}
	d.await("the progress of both networks", func() bool { return d.number(`SELECT count() FROM daybook.progress`) == 2 })
	if err := json.Unmarshal([]byte(d.run(0, "status", "--json")), &status); err != nil || len(status.Networks) != 2 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	for _, one := range status.Networks {
		if one.Horizon != nil && (one.Horizon.After(now) || one.Horizon.Before(now.AddDate(0, 0, -1))) {
			t.Errorf("the horizon of %s is %s", one.Network, one.Horizon)
		}
	}
	d.stop()
}
