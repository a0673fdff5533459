package e2e

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sql asks the engine a statement as any client of its HTTP interface would
// and returns the answer's rows, tab-separated fields each.
func (d *instance) sql(statement string) [][]string {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.ClickHouse, strings.NewReader(statement))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("X-ClickHouse-User", d.User)
	req.Header.Set("X-ClickHouse-Key", d.Password)
	body := d.answer(req)
	var rows [][]string
	for line := range strings.Lines(body) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// number asks for one number.
func (d *instance) number(statement string) int64 {
	d.t.Helper()
	rows := d.sql(statement)
	if len(rows) != 1 || len(rows[0]) != 1 {
		d.t.Fatalf("%s: answered %q, want one number", statement, rows)
	}
	n, err := strconv.ParseInt(rows[0][0], 10, 64)
	if err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
	return n
}

// counts asks for rows of a name and a number.
func (d *instance) counts(statement string) map[string]int64 {
	d.t.Helper()
	got := make(map[string]int64)
	for _, row := range d.sql(statement) {
		n, err := strconv.ParseInt(row[1], 10, 64)
		if err != nil {
			d.t.Fatalf("%s: %v", statement, err)
		}
		got[row[0]] = n
	}
	return got
}

func (d *instance) answer(req *http.Request) string {
	d.t.Helper()
	client := http.Client{Timeout: startLimit}
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("read answer of %s: %v", req.URL.Path, err)
	}
	if resp.StatusCode != http.StatusOK {
		d.t.Fatalf("%s %s: status %d\n%s", req.Method, req.URL, resp.StatusCode, body)
	}
	return string(body)
}

// get asks the read API with the administrator's key.
func (d *instance) get(path string) string {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, d.API+path, http.NoBody)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.AdminKey)
	return d.answer(req)
}

// page is a list answer of the API; items are left as objects.
type page struct {
	Items      []map[string]any `json:"items"`
	NextCursor *string          `json:"next_cursor"`
	AsOf       *time.Time       `json:"as_of"`
}

// list follows the cursors of a list and calls each for every item.
func (d *instance) list(path string, each func(item map[string]any)) {
	d.t.Helper()
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	path += join + "limit=1000"
	for next := path; ; {
		var p page
		if err := json.Unmarshal([]byte(d.get(next)), &p); err != nil {
			d.t.Fatalf("decode %s: %v", next, err)
		}
		if p.AsOf == nil {
			d.t.Fatalf("%s: answer has no as_of", next)
		}
		for _, item := range p.Items {
			each(item)
		}
		if p.NextCursor == nil || *p.NextCursor == "" {
			return
		}
		next = path + "&cursor=" + *p.NextCursor
	}
}

// csv reads a CSV answer into one map a row.
func (d *instance) csv(path string) []map[string]string {
	d.t.Helper()
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(d.get(path), "\ufeff"))).ReadAll()
	if err != nil || len(records) == 0 {
		d.t.Fatalf("read CSV of %s: %d rows, %v", path, len(records), err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := make(map[string]string, len(record))
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// metrics reads /metrics and returns the series of one name, by their labels
// as written between the braces.
func (d *instance) metrics(name string) map[string]float64 {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, d.Metrics+"/metrics", http.NoBody)
	if err != nil {
		d.t.Fatal(err)
	}
	got := make(map[string]float64)
	for line := range strings.Lines(d.answer(req)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(series, name) {
			continue
		}
		labels, isSeries := strings.CutPrefix(series, name+"{")
		if !isSeries && series != name {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			d.t.Fatalf("metric %s: %v", line, err)
		}
		got[strings.TrimSuffix(labels, "}")] = n
	}
	return got
}

// await asks again until a condition about another process holds: rows become
// visible without a signal that reaches a test.
func (d *instance) await(what string, holds func() bool) {
	d.t.Helper()
	limit := time.After(startLimit)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-limit:
			d.t.Fatalf("waited %s in vain: %s", startLimit, what)
		}
	}
}
