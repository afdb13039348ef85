# shellcheck shell=sh
# The sidecar's package: fetch, check, and only then touch what runs.

# True when the installed package was changed.
install_package() {
	[ "$(cat "$STATE/package" 2>/dev/null)" = "$MESHVM_SHA256" ] && [ -x /usr/local/bin/pilot-agent ] && return 1
	fetched=$STATE/package.fetched
	fetch_package "$fetched"
	actual=$(sha256sum "$fetched" | cut -d ' ' -f 1)
	if [ "$actual" != "$MESHVM_SHA256" ]; then
		rm -f "$fetched"
		fail "the package $MESHVM_PACKAGE has the checksum $actual and not $MESHVM_SHA256; give the right proxy.sha256, or find out who changed the package"
	fi
	remember_before
	# The old binary takes its own rules back: a new one does not know them.
	systemctl is-active --quiet istio && systemctl stop istio
	install_by_format "$fetched"
	rm -f "$fetched"
	printf '%s' "$MESHVM_SHA256" >"$STATE/package"
}

fetch_package() {
	case $MESHVM_PACKAGE in
	/*) cp "$MESHVM_PACKAGE" "$1" || fail "the package $MESHVM_PACKAGE cannot be read on the machine; put it there or give its address as proxy.package" ;;
	*)
		if command -v curl >/dev/null; then
			curl -fsSL --connect-timeout 10 --max-time 300 --retry 2 -o "$1" -- "$MESHVM_PACKAGE"
		elif command -v wget >/dev/null; then
			wget -q -T 60 -O "$1" -- "$MESHVM_PACKAGE"
		else
			fail "neither curl nor wget is on the machine to fetch the package; install curl, or put the package there and give its path as proxy.package"
		fi || fail "the package $MESHVM_PACKAGE cannot be fetched from the machine ($(tail -n 1 "$LOG")); check proxy.package, the machine's way out, and that $STATE has room for it"
		;;
	esac
}

remember_before() {
	remember_absent package package_installed
	remember_absent user getent passwd istio-proxy
	remember_absent istio-link exists /etc/istio
	remember_absent state-dir exists /var/lib/istio
	remember_absent log-dir exists /var/log/istio
	remember_absent certificates exists /etc/certs
	# The proxy's own from now on: mode and owner come back.
	[ -e "$STATE/before/certificates" ] || stat -c '%a %u:%g' /etc/certs >"$STATE/before/certificates"
	remember_absent usr-local-bin exists /usr/local/bin
	# The unit's sudo leaves this in root's home.
	remember_absent sudo-flag exists /root/.sudo_as_admin_successful
}

package_installed() {
	{ command -v dpkg && dpkg -s istio-sidecar; } >/dev/null 2>&1 || { command -v rpm && rpm -q istio-sidecar; } >/dev/null 2>&1
}

install_by_format() {
	# A package's first bytes say what it is, whatever its name: "!<arch>" or ed ab ee db.
	case $(head -c 7 "$1") in
	'!<arch>')
		command -v dpkg >/dev/null || fail "proxy.package is a deb and this system has no dpkg; give the rpm"
		DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i "$1" ||
			fail "dpkg could not install the package ($(tail -n 1 "$LOG")); the log is $LOG on the machine"
		;;
	*)
		command -v rpm >/dev/null || fail "proxy.package is neither a deb nor is this a system with rpm; give the package for this system"
		rpm -U --oldpackage --replacepkgs "$1" ||
			fail "rpm could not install the package ($(tail -n 1 "$LOG")); the log is $LOG on the machine"
		;;
	esac
}
