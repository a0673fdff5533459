package schemas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"daybook/schemas/zones"
)

// maxTitleBytes bounds a network's title; nothing depends on the number.
const maxTitleBytes = 1024

// SignControl gives the signature that makes value a control record of this
// installation: HMAC-SHA256 under key, in lower-case hexadecimal. It travels in
// the header HeaderControl.
func SignControl(key, value []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(value) // never fails
	return hex.AppendEncode(nil, mac.Sum(nil))
}

// VerifyControl says whether signature is SignControl(key, value). It takes the
// same time wherever they differ.
func VerifyControl(key, value, signature []byte) bool {
	return hmac.Equal(SignControl(key, value), signature)
}

// EncodeControl gives the one encoding of c; the signature covers these bytes.
// It refuses what DecodeControl would.
func EncodeControl(c Control) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	value, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode control of network %q: %w", c.Network, err)
	}
	return value, nil
}

// DecodeControl reads the value of a control record, strictly: unknown or
// repeated fields, a wrong type, and everything that Validate refuses are
// errors. It does not look at the signature.
func DecodeControl(value []byte) (Control, error) {
	var c Control
	if err := json.Unmarshal(value, &c, json.RejectUnknownMembers(true)); err != nil {
		return Control{}, fmt.Errorf("decode control: %w", err)
	}
	if err := c.Validate(); err != nil {
		return Control{}, err
	}
	return c, nil
}

// Validate checks the rules of a setting: network id, position, zone known to
// this binary, gap within its limits, dark spans in order and apart.
func (c *Control) Validate() error {
	switch {
	case !ValidNetwork(c.Network):
		return fmt.Errorf("check control: network %q is not [a-z0-9][a-z0-9._-]{0,63}", c.Network)
	case c.Position < 0:
		return fmt.Errorf("check control of network %q: position %d is negative", c.Network, c.Position)
	case c.GapMs < MinGapMs || c.GapMs > MaxGapMs:
		return fmt.Errorf("check control of network %q: gap %d ms is not between %d and %d", c.Network, c.GapMs, MinGapMs, MaxGapMs)
	case c.RetentionDays != 0 && (c.RetentionDays < MinRetentionDays || c.RetentionDays > MaxRetentionDays):
		return fmt.Errorf("check control of network %q: retention of %d days is not 0 (for ever) or between %d and %d", c.Network, c.RetentionDays, MinRetentionDays, MaxRetentionDays)
	case len(c.Title) > maxTitleBytes || strings.ContainsRune(c.Title, 0):
		return fmt.Errorf("check control of network %q: title is longer than %d bytes or holds a NUL", c.Network, maxTitleBytes)
	}
	if c.Zone != "" {
		if _, err := zones.Load(c.Zone); err != nil {
			return fmt.Errorf("check control of network %q: %w", c.Network, err)
		}
	}
	for i, d := range c.Dark {
		if d.FromMs >= d.ToMs {
			return fmt.Errorf("check control of network %q: dark span %d is empty", c.Network, i)
		}
		if i > 0 && d.FromMs < c.Dark[i-1].ToMs {
			return fmt.Errorf("check control of network %q: dark span %d is not after the one before", c.Network, i)
		}
	}
	return nil
}
