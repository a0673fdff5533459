package enrich

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/mileusna/useragent"

	"daybook/schemas"
)

// Classifier tells Mobile from Web (SPK-19) and robots from people. One
// goroutine owns it.
//
// Decision. SEMANTICS.md section 6.1 counts every browser as Web, a phone's too,
// and only apps as Mobile; of an access log one wants Mobile and Web from the
// user agents, and there a phone is known by nothing else. Both are kept apart by
// who can know: device.class of the event always wins, and a client that is an
// app, or a web page on a phone, says which. Without it the user agent is all
// there is, and the question that it can answer is the device: phones and
// tablets are Mobile, desktop browsers Web. What neither tells is Web, flagged
// schemas.FlagClassUnknown.
//
// Parser: mileusna/useragent, helped by three short word lists, and not
// medama-io/go-useragent. Of the 73 robots in uap-core's device tests mileusna
// alone names 43 (58 with the lists) and medama 20. In the sample log medama
// knows no device for older Firefox and Chrome on Windows, and takes "Tablet PC
// 2.0" for a tablet and libwww and Lynx for phones. It is faster (253 ns against
// 1.4 µs, LIBRARIES.md), which the cache makes up for.
type Classifier struct {
	young, old map[string]known // by user agent; old is what was young before
	entries    int              // bound of each
	recent     [256]known       // before the maps: the last one of each slot
}

// known is a user agent with its verdict; its text is the maps' key, so that to
// remember it once more costs no memory.
type known struct {
	verdict

	agent string
}

// verdict is what a user agent tells.
type verdict struct {
	class schemas.DeviceClass // ClassUnknown if it does not tell
	robot bool
}

// maxAgentBytes is how much of a user agent is looked at, so that the cache is
// bounded in bytes too. The longest of the sample log has 294, of uap-core's 16,129
// device tests 394.
const maxAgentBytes = 512

// New gives a classifier that remembers between cacheEntries/2 and cacheEntries
// user agents.
func New(cacheEntries int) *Classifier {
	half := max(cacheEntries/2, 1)
	return &Classifier{
		young:   make(map[string]known, half),
		old:     make(map[string]known, half),
		entries: half,
	}
}

// Classify gives the class that an event is booked under, Mobile or Web, and
// FlagRobot and FlagClassUnknown as they apply. class is the event's own, ua its
// user agent; either may be absent. It does not allocate for a user agent that
// it remembers, and its answer never depends on what it remembers.
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

// look answers for a user agent that is not empty.
func (c *Classifier) look(ua []byte) verdict {
	k := &c.recent[slot(ua)]
	if k.agent != string(ua) {
		*k = c.find(ua)
	}
	return k.verdict
}

// slot gives the place of a user agent among the recent ones, by its length and
// 32 of its bytes: those of one day differ in versions and models, which stand
// anywhere. The map hashes all of it, which takes longer.
func slot(ua []byte) uint8 {
	n := len(ua)
	if n < 32 {
		return uint8(n)
	}
	a, b := binary.LittleEndian.Uint64(ua[n/4:]), binary.LittleEndian.Uint64(ua[n/2-4:])
	c, d := binary.LittleEndian.Uint64(ua[n/2+n/8:]), binary.LittleEndian.Uint64(ua[n-8:])
	sum := (a ^ uint64(n)) * 0x9e3779b97f4a7c15
	sum += (b ^ bits.RotateLeft64(c, 23) ^ bits.RotateLeft64(d, 47)) * 0xd6e8feb86659fd93
	return uint8(sum >> 56)
}

// find answers from the maps, else parses. When the young half is full it
// becomes the old one, whose entries are forgotten: no clock, no list, and a
// user agent that is in use stays.
func (c *Classifier) find(ua []byte) known {
	if k, ok := c.young[string(ua)]; ok {
		return k
	}
	k, ok := c.old[string(ua)]
	if !ok {
		agent := string(ua)
		k = known{parse(agent), agent}
	}
	if len(c.young) >= c.entries {
		clear(c.old)
		c.young, c.old = c.old, c.young
	}
	c.young[k.agent] = k
	return k
}

func parse(ua string) verdict {
	p := useragent.Parse(ua)
	lower := strings.ToLower(ua)
	v := verdict{robot: p.Bot || namesRobot(lower)}
	switch {
	case p.Mobile, p.Tablet, namesMobile(lower):
		v.class = schemas.ClassMobile
	case p.Desktop, namesDesktop(lower):
		v.class = schemas.ClassWeb
	}
	return v
}

// namesRobot finds what the parser misses: previews that look like a browser,
// and programs that send no address.
func namesRobot(lower string) bool {
	// Cubot makes phones.
	lower = strings.ReplaceAll(lower, "cubot", "")
	return containsAny(lower, "bot", "crawl", "spider", "slurp", "favicon", "preview", "imageproxy",
		"curl/", "wget/", "libwww", "python", "ruby", "java/", "go-http-client", "headless", "ezooms", "feedbin", "portscout", "nutch", "ptst/", "inspectiontool")
}

// namesMobile finds phones and tablets under a desktop's name and those that
// come before smartphones.
func namesMobile(lower string) bool {
	return containsAny(lower, "android", "iphone", "ipad", "ipod", "windows phone", "windows mobile", "iemobile", "midp", "up.browser",
		"opera mini", "opera mobi", "blackberry", "symbian", "ucweb", "mobilesafari", "kaios", "wap browser")
}

// namesDesktop finds the systems that the parser has no name for.
func namesDesktop(lower string) bool {
	return containsAny(lower, "x11;", "freebsd", "openbsd", "netbsd", "macbook", "macintosh", "windows nt", "windows 9")
}

func containsAny(text string, words ...string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
