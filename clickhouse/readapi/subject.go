package readapi

import (
	"context"
	"regexp"
	"sync"
	"time"

	"daybook/clickhouse/query"
	"daybook/schemas/zones"
)

// networkID is the rule for ids of networks (ARCHITECTURE.md section 4.11).
var networkID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// subject is the person that an answer is about, resolved in one place.
type subject struct {
	network   query.Network
	user      query.User
	partition *int32         // that all events of the user lie on
	zone      *time.Location // of the user on record, else of the network, else UTC
	name      string         // IANA name of zone
}

// subject finds network and user, or answers why not. An unknown network and
// one that the asker may not see answer alike.
func (a *API) subject(ctx context.Context, network, user string) (*subject, error) {
	if !networkID.MatchString(network) {
		return nil, unknownNetwork()
	}
	if user == "" {
		return nil, unknownUser()
	}
	var (
		n query.Network
		u *query.UserRow
	)
	err := together(
		func() (err error) { n, err = a.oneNetwork(ctx, network); return err },
		func() error {
			for row, err := range (query.OneUser{Network: network, User: user}).Run(ctx, a.db) {
				if err != nil {
					return a.storage(ctx, "user", err)
				}
				u = &row
			}
			return nil
		},
	)
	switch {
	case err != nil:
		return nil, err
	case !n.Recording:
		return nil, recordingDisabled()
	case u == nil:
		return nil, unknownUser()
	}
	s := &subject{network: n, user: u.User, partition: &u.Partition}
	s.zone, s.name = a.zones.pick(u.Zone, n.Zone)
	return s, nil
}

// oneNetwork finds a network by an id that is well formed.
func (a *API) oneNetwork(ctx context.Context, network string) (query.Network, error) {
	for row, err := range (query.OneNetwork{Network: network}).Run(ctx, a.db) {
		if err != nil {
			return row, a.storage(ctx, "network", err)
		}
		return row, nil
	}
	return query.Network{}, unknownNetwork()
}

// lastDay gives the subject's last local day with a session; nil if there is
// none.
func (a *API) lastDay(ctx context.Context, s *subject) (*query.Date, error) {
	last, err := query.LastDay{Network: s.network.NetworkID, User: s.user.UserID}.Ask(ctx, a.db)
	if err != nil {
		return nil, a.storage(ctx, "last day", err)
	}
	return last, nil
}

// network finds one network, or answers why not.
func (a *API) network(ctx context.Context, network string) (*query.Network, error) {
	if !networkID.MatchString(network) {
		return nil, unknownNetwork()
	}
	n, err := a.oneNetwork(ctx, network)
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// freshSubject finds the subject, and fills in how fresh its record is.
func (a *API) freshSubject(ctx context.Context, s *Stamp, network, user string) (sub *subject, err error) {
	var complete func(*int32) query.FreshnessRow
	err = together(
		func() (err error) { sub, err = a.subject(ctx, network, user); return err },
		func() (err error) {
			complete, err = a.completeness(ctx, query.Watermarks{Network: network})
			return err
		},
	)
	if err == nil {
		s.complete(complete(sub.partition))
	}
	return sub, err
}

// freshNetwork finds the network, and fills in how fresh its record is.
func (a *API) freshNetwork(ctx context.Context, s *Stamp, network string) (n *query.Network, err error) {
	err = together(
		func() (err error) { n, err = a.network(ctx, network); return err },
		func() error { return a.freshen(ctx, s, query.Watermarks{Network: network}) },
	)
	return n, err
}

// together asks two questions at once and waits for both: a round trip less
// in every answer. The first one's error counts before the second's.
func together(first, second func() error) error {
	var (
		other error
		wg    sync.WaitGroup
	)
	wg.Go(func() { other = second() })
	err := first()
	wg.Wait()
	if err != nil {
		return err
	}
	return other
}

// zoneCache keeps the zones that rows name, for zones.Load reads them anew each
// time. Only names that exist are kept, so there are at most some 600.
type zoneCache struct{ loaded sync.Map }

// pick gives the first zone that this process knows, else UTC.
func (z *zoneCache) pick(names ...string) (*time.Location, string) {
	for _, name := range names {
		if zone, ok := z.loaded.Load(name); ok {
			return zone.(*time.Location), name //nolint:forcetypeassert // nothing else is stored
		}
		if zone, err := zoneNamed(name); err == nil {
			z.loaded.Store(name, zone)
			return zone, name
		}
	}
	return time.UTC, "UTC"
}

// zoneNamed loads an IANA zone. "" and Local, which Go also takes, are none.
func zoneNamed(name string) (*time.Location, error) {
	zone, err := zones.Load(name)
	if err != nil {
		return nil, badParameter("", "this is no time zone", "an IANA name such as Europe/Amsterdam")
	}
	return zone, nil
}

// viewer reads viewer_tz; nil if it was not given.
func viewer(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // no viewer zone is a fine answer: then there are no notes
	}
	zone, err := zoneNamed(name)
	if err != nil {
		return nil, badParameter("query.viewer_tz", "this is no time zone", "an IANA name such as Europe/Amsterdam")
	}
	return zone, nil
}
