package enrich

import (
	"github.com/mileusna/useragent"

	"daybook/schemas"
)

// Classifier tells Mobile from Web.
type Classifier struct {
	young, old map[string]verdict // by user agent; old is what was young before
	entries    int                // of each
}

// verdict is what a user agent tells.
type verdict struct {
	class schemas.DeviceClass // ClassUnknown if it does not tell
	robot bool
}

// maxAgentBytes is how much of a user agent is looked at.
const maxAgentBytes = 512

// New gives a classifier that remembers between cacheEntries/2 and cacheEntries
// user agents.
func New(cacheEntries int) *Classifier {
	half := max(cacheEntries/2, 1)
	return &Classifier{
		young:   make(map[string]verdict, half),
		old:     make(map[string]verdict, half),
		entries: half,
	}
}

// Classify gives the class of an event and its flags.
func (c *Classifier) Classify(class schemas.DeviceClass, ua []byte) (schemas.DeviceClass, schemas.EventFlags) {
	var v verdict
	if len(ua) > 0 {
		v = c.look(ua[:min(len(ua), maxAgentBytes)])
	}
	var flags schemas.EventFlags
	if v.robot {
		flags = schemas.FlagRobot
	}
	switch {
	case class != schemas.ClassUnknown:
		return class, flags
	case v.class != schemas.ClassUnknown:
		return v.class, flags
	}
	return schemas.ClassWeb, flags | schemas.FlagClassUnknown
}

// look answers from the cache, else parses. When the young half is full it
// becomes the old one, whose entries are forgotten: no clock, no list, and a
// user agent that is used stays.
func (c *Classifier) look(ua []byte) verdict {
	if v, ok := c.young[string(ua)]; ok {
		return v
	}
	v, ok := c.old[string(ua)]
	if !ok {
		v = parse(string(ua))
	}
	if len(c.young) >= c.entries {
		clear(c.old)
		c.young, c.old = c.old, c.young
	}
	c.young[string(ua)] = v
	return v
}

func parse(ua string) verdict {
	p := useragent.Parse(ua)
	v := verdict{robot: p.Bot}
	switch {
	case p.Mobile || p.Tablet:
		v.class = schemas.ClassMobile
	case p.Desktop:
		v.class = schemas.ClassWeb
	}
	return v
}
