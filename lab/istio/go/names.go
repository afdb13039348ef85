// Stand-in, names: the agent's DNS server on port 15053: it answers for the mesh's names and passes every other question
// on to the machine's nameservers.
package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

func (a *agent) serveNames() error {
	if !on("ISTIO_META_DNS_CAPTURE") && scalar(a.settings.node()["metadata"], "DNS_CAPTURE") != "true" {
		return nil
	}
	address := or(os.Getenv("DNS_PROXY_ADDR"), "localhost:15053")
	v4, v6 := nameservers()
	servers := append(v4, v6...)
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for part := make([]byte, 4096); ; {
			n, from, err := packets.ReadFrom(part)
			if err != nil {
				return
			}
			go func(question []byte) {
				if answer := a.answerName(question, "udp", servers); answer != nil {
					_, _ = packets.WriteTo(answer, from)
				}
			}(slices.Clone(part[:n]))
		}
	}()
	go func() {
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for {
					question, err := readMessage(conn)
					if err != nil {
						return
					}
					if answer := a.answerName(question, "tcp", servers); answer != nil {
						_, _ = conn.Write(withLength(answer))
					}
				}
			}()
		}
	}()
	return nil
}

func (a *agent) answerName(question []byte, network string, servers []string) []byte {
	name, kind, end, err := asked(question)
	if err == nil {
		if addresses, known := a.traffic.current().Names[name]; known && (kind == 1 || kind == 28) {
			return answerWith(question[:end], kind, addresses)
		}
	}
	for _, server := range servers {
		if answer, err := forward(question, network, net.JoinHostPort(server, "53")); err == nil {
			return answer
		}
	}
	return nil
}

func forward(question []byte, network, server string) ([]byte, error) {
	conn, err := net.DialTimeout(network, server, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if network == "tcp" {
		if _, err := conn.Write(withLength(question)); err != nil {
			return nil, err
		}
		return readMessage(conn)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	return answer[:n], err
}

func readMessage(conn net.Conn) ([]byte, error) {
	length := make([]byte, 2)
	if _, err := io.ReadFull(conn, length); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length))
	_, err := io.ReadFull(conn, message)
	return message, err
}

func withLength(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

// asked reads the one question of a message: its name in lower case without the last dot, its type, and where it ends.
func asked(message []byte) (name string, kind uint16, end int, err error) {
	if len(message) < 12 || binary.BigEndian.Uint16(message[4:]) != 1 {
		return "", 0, 0, errors.New("not one question")
	}
	labels, at := []string{}, 12
	for at < len(message) && message[at] != 0 {
		size := int(message[at])
		if size > 63 || at+1+size > len(message) {
			return "", 0, 0, errors.New("a name that is cut")
		}
		labels, at = append(labels, string(message[at+1:at+1+size])), at+1+size
	}
	if at+5 > len(message) {
		return "", 0, 0, errors.New("a question that is cut")
	}
	return strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(message[at+1:]), at + 5, nil
}

// answerWith says which of the addresses are of the type asked for; none is an answer too.
func answerWith(question []byte, kind uint16, addresses []string) []byte {
	records, count := []byte{}, uint16(0)
	for _, text := range addresses {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Is4() != (kind == 1) {
			continue
		}
		raw := ip.AsSlice()
		records = append(records, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 30, 0, byte(len(raw)))
		records, count = append(records, raw...), count+1
	}
	answer := slices.Clone(question)
	answer[2], answer[3] = 0x84|answer[2]&1, 0 // an answer, and the last word
	binary.BigEndian.PutUint16(answer[6:], count)
	binary.BigEndian.PutUint16(answer[8:], 0)
	binary.BigEndian.PutUint16(answer[10:], 0)
	return append(answer, records...)
}
