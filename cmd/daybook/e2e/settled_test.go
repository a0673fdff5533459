package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// backlog is how many records of the log the tables do not reflect yet.
func (s *site) backlog(ctx context.Context) (int64, error) {
	read := make(map[int32]int64)
	body, err := s.query(ctx, "SELECT `partition`, published_offset FROM partitions")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	for lines := bufio.NewScanner(body); lines.Scan(); {
		var p int32
		var next int64
		if _, err := fmt.Sscan(lines.Text(), &p, &next); err != nil {
			return 0, err
		}
		read[p] = next
	}
	left := int64(0)
	for p := range s.cfg.partitions {
		_, end, err := s.client.ListOffsets(ctx, int32(p))
		if err != nil {
			return 0, err
		}
		left += max(0, end-read[int32(p)])
	}
	return left, nil
}

// settle waits until everything that is in the log is in the tables. The
// traffic must stand still and every part run.
func (s *site) settle(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	left, err := s.backlog(ctx)
	for err != nil || left > 0 {
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("after %s the tables still lack %d records", limit, left), err)
		}
		wait(ctx, 200*time.Millisecond)
		var now int64
		if now, err = s.backlog(ctx); err == nil {
			left = now
		}
	}
	return nil
}

// tally is what a check has found; zero is what was promised.
type tally struct {
	lost      int64 // acknowledged by Kafka, in no table
	twice     int64 // events that count more than once
	different int64 // cells that verify finds different
	notes     []string
}

func (t *tally) clean() bool { return t.lost == 0 && t.twice == 0 && t.different == 0 }

// verifyFound is the last line of a verify that found something.
var verifyFound = regexp.MustCompile(`verify: (\d+) differences`)

// verifyLimit bounds a verify: the deep one of a long soak replays millions of
// records.
const verifyLimit = 45 * time.Minute

// check counts what the producer was acknowledged against the tables, without
// any code of the product, and asks the product's own verify.
func (s *site) check(t *traffic, deep bool) (*tally, error) {
	ctx, cancel := context.WithTimeout(context.Background(), verifyLimit)
	defer cancel()
	found := new(tally)
	if err := s.countIDs(ctx, t, found); err != nil {
		return nil, err
	}
	if err := s.countLedger(ctx, found); err != nil {
		return nil, err
	}
	args := []string{"verify"}
	if deep && *soakDeep {
		args = append(args, "--deep")
	}
	out, err := s.run(verifyLimit, args...)
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		wrong := verifyFound.FindStringSubmatch(out)
		if wrong == nil {
			return nil, fmt.Errorf("verify does not tell how much is wrong: %w\n%s", err, out)
		}
		n, err := strconv.ParseInt(wrong[1], 10, 64)
		if err != nil {
			return nil, err
		}
		found.different += n
		found.notes = append(found.notes, out)
	default:
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return found, nil
}

// countIDs reads the id of every event and compares them with those that Kafka
// acknowledged to the producer.
func (s *site) countIDs(ctx context.Context, t *traffic, found *tally) error {
	body, err := s.query(ctx, "SELECT event_id FROM events WHERE source = 'generate' ORDER BY event_id")
	if err != nil {
		return err
	}
	defer body.Close()
	var seen bitmap
	for lines := bufio.NewScanner(body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "bad") {
			found.different++
			found.notes = append(found.notes, "accepted although it is bad: "+lines.Text())
			continue
		}
		n, err := counterOf(lines.Text())
		if err != nil {
			return err
		}
		if seen.has(n) {
			found.twice++
			found.notes = append(found.notes, "twice: "+lines.Text())
		}
		seen.set(n)
	}
	for i, word := range t.acked {
		have, excused := uint64(0), uint64(0)
		if i < len(seen) {
			have = seen[i]
		}
		if i < len(t.dark) {
			excused = t.dark[i]
		}
		for lack := word &^ have &^ excused; lack != 0; lack &= lack - 1 {
			found.lost++
		}
	}
	return nil
}

// countLedger compares the ledger with the log's offsets: every record has one
// fate, also those that must not be events.
func (s *site) countLedger(ctx context.Context, found *tally) error {
	offsets := int64(0)
	for p := range s.cfg.partitions {
		start, end, err := s.client.ListOffsets(ctx, int32(p))
		if err != nil {
			return err
		}
		offsets += end - start
	}
	fates, err := s.number(ctx, "SELECT toInt64(sum(accepted + duplicate + arraySum(mapValues(not_recorded)) + arraySum(mapValues(rejected)) + arraySum(mapValues(skipped)))) FROM ledger")
	if err != nil {
		return err
	}
	if fates < offsets {
		found.lost += offsets - fates
		found.notes = append(found.notes, fmt.Sprintf("the ledger has %d fates for %d offsets", fates, offsets))
	}
	if fates > offsets {
		found.twice += fates - offsets
		found.notes = append(found.notes, fmt.Sprintf("the ledger has %d fates for %d offsets", fates, offsets))
	}
	return nil
}
