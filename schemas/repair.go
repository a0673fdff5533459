package schemas

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Repair asks the owner of a partition to write the sessions and slices of some
// users in a span of time again, from the stored events, and to withdraw rows in
// it that no event supports. It travels as a control record of the partition's own
// log, so that its rows have a version like all others. It changes no true row.
type Repair struct {
	Network string   `json:"network"`
	Users   []string `json:"users"`
	FromMs  int64    `json:"from_ms"` // inclusive
	ToMs    int64    `json:"to_ms"`   // inclusive
}

// Bounds of one repair: its users re-enter at once.
const (
	MaxRepairUsers = 200
	MaxRepairMs    = 31 * 86_400_000
)

// repairRecord is the value of the control record.
type repairRecord struct {
	Repair *Repair `json:"repair"`
}

const repairPrefix = `{"repair":{`

var errRepair = errors.New("not a repair")

// EncodeRepair gives the one encoding of r; the signature covers these bytes.
func EncodeRepair(r Repair) ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	value, err := json.Marshal(repairRecord{&r})
	if err != nil {
		return nil, fmt.Errorf("encode repair: %w", err)
	}
	return value, nil
}

// IsRepair says whether the value of a control record is a repair.
func IsRepair(value []byte) bool { return bytes.HasPrefix(value, []byte(repairPrefix)) }

// DecodeRepair reads what EncodeRepair wrote, strictly. It does not look at the
// signature.
func DecodeRepair(value []byte) (Repair, error) {
	var r repairRecord
	if err := json.Unmarshal(value, &r, json.RejectUnknownMembers(true)); err != nil {
		return Repair{}, fmt.Errorf("decode repair: %w", err)
	}
	if r.Repair == nil {
		return Repair{}, fmt.Errorf("decode repair: %w", errRepair)
	}
	if err := r.Repair.validate(); err != nil {
		return Repair{}, err
	}
	return *r.Repair, nil
}

func (r *Repair) validate() error {
	if !ValidNetwork(r.Network) || len(r.Users) == 0 || len(r.Users) > MaxRepairUsers || r.ToMs < r.FromMs || r.ToMs-r.FromMs > MaxRepairMs {
		return fmt.Errorf("check repair of network %q: %d users, %d to %d: %w", r.Network, len(r.Users), r.FromMs, r.ToMs, errRepair)
	}
	for _, u := range r.Users {
		if u == "" || len(u) > MaxUserBytes {
			return fmt.Errorf("check repair of network %q: a user of %d bytes: %w", r.Network, len(u), errRepair)
		}
	}
	return nil
}
