// Stand-in, destination: where a redirected connection was meant to go (SO_ORIGINAL_DST of netfilter).
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

const soOriginalDst = 80 // linux/netfilter_ipv4.h, and the same number in linux/netfilter_ipv6/ip6_tables.h

func originalDestination(conn net.Conn) (string, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return "", fmt.Errorf("not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return "", err
	}
	var address string
	local := tcp.LocalAddr().(*net.TCPAddr)
	controlErr := raw.Control(func(fd uintptr) {
		if local.IP.To4() != nil {
			address, err = meant4(int(fd))
		} else {
			address, err = meant6(int(fd))
		}
	})
	if controlErr != nil {
		return "", controlErr
	}
	return address, err
}

// meant4 reads a sockaddr_in; the standard library has no call for it, but one that reads as many bytes.
func meant4(fd int) (string, error) {
	mreq, err := syscall.GetsockoptIPv6Mreq(fd, syscall.IPPROTO_IP, soOriginalDst)
	if err != nil {
		return "", err
	}
	b := mreq.Multiaddr
	port := int(binary.BigEndian.Uint16(b[2:4]))
	return net.JoinHostPort(net.IPv4(b[4], b[5], b[6], b[7]).String(), strconv.Itoa(port)), nil
}

func meant6(fd int) (string, error) {
	found, err := syscall.GetsockoptIPv6MTUInfo(fd, syscall.IPPROTO_IPV6, soOriginalDst)
	if err != nil {
		return "", err
	}
	port := found.Addr.Port>>8 | found.Addr.Port<<8
	return net.JoinHostPort(net.IP(found.Addr.Addr[:]).String(), strconv.Itoa(int(port))), nil
}
