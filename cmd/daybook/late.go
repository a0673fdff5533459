package main

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lateMetric counts the records that the worker decided by reading storage
// back. Late is how an event was decided, not what became of it, so no table
// holds it (ARCHITECTURE.md section 4.12).
const lateMetric = "daybook_worker_late_total"

// lateTotal reads the worker's counter; -1 if nobody tells it.
func (a *app) lateTotal(ctx context.Context, found *servers) int64 {
	if found.Metrics == "" {
		return -1
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	figures, err := scrape(ctx, found.Metrics+"/metrics")
	late, ok := figures[lateMetric]
	if err != nil || !ok {
		return -1
	}
	return int64(late)
}

// lateSince is what was added since before; -1 if it cannot be told: no
// metrics, or the worker was started anew.
func (a *app) lateSince(ctx context.Context, found *servers, before int64) int64 {
	now := a.lateTotal(ctx, found)
	if before < 0 || now < before {
		return -1
	}
	return now - before
}

// scrape reads metrics by name; series of one name are added up.
func scrape(ctx context.Context, address string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	figures := make(map[string]float64)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		line := lines.Text()
		cut := strings.LastIndexByte(line, ' ') // a label's value may hold a blank
		if cut < 0 || line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(line[:cut], "{")
		if value, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			figures[name] += value
		}
	}
	return figures, lines.Err()
}
