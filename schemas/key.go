package schemas

import (
	"bytes"
	"encoding/binary"
)

// MaxNetworkBytes is the longest network id.
const MaxNetworkBytes = 64

// ValidNetwork says whether b is a network id: [a-z0-9][a-z0-9._-]{0,63}. The
// alphabet has no slash, so the first one of a record's key separates
// (ARCHITECTURE.md section 4.11).
func ValidNetwork[T string | []byte](b T) bool {
	if len(b) == 0 || len(b) > MaxNetworkBytes || b[0] == '.' || b[0] == '_' || b[0] == '-' {
		return false
	}
	for i := range len(b) {
		c := b[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// AppendKey appends the Kafka key of an event, network/user.
func AppendKey[N, U string | []byte](dst []byte, network N, user U) []byte {
	dst = append(dst, network...)
	dst = append(dst, '/')
	return append(dst, user...)
}

// ParseKey takes a record's key apart. It is false unless the key is
// network/user with a valid network and a user of 1 to MaxUserBytes bytes.
// Both parts alias the key; the user's own slashes are part of the user.
func ParseKey(key []byte) (network, user []byte, ok bool) {
	network, user, ok = bytes.Cut(key, []byte{'/'})
	ok = ok && ValidNetwork(network) && len(user) > 0 && len(user) <= MaxUserBytes
	return network, user, ok
}

// KeyIs says whether key is network/user, without building it.
func KeyIs(key, network, user []byte) bool {
	n := len(network)
	return len(key) == n+1+len(user) && key[n] == '/' &&
		bytes.Equal(key[:n], network) && bytes.Equal(key[n+1:], user)
}

// Partition gives the partition of key among n, as Java's producers place it
// (DefaultPartitioner: the murmur2 hash made positive by dropping the sign bit,
// modulo n). n must be positive.
func Partition(key []byte, n int) int32 {
	return int32((Murmur2(key) & 0x7fffffff) % uint32(n))
}

// Murmur2 is Kafka's hash of a key: MurmurHash2, 32 bits, with the seed and the
// byte order of org.apache.kafka.common.utils.Utils.murmur2.
func Murmur2(key []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	for ; len(key) >= 8; key = key[8:] { // two steps: half the counting
		w := binary.LittleEndian.Uint64(key)
		k, l := uint32(w)*m, uint32(w>>32)*m
		k, l = (k^k>>24)*m, (l^l>>24)*m
		h = (h*m^k)*m ^ l
	}
	if len(key) >= 4 {
		k := binary.LittleEndian.Uint32(key) * m
		h = h*m ^ (k^k>>24)*m
		key = key[4:]
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(key[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
