# shellcheck shell=sh
# Where meshvm puts what stands around the sidecar, and how it goes again.

ROTATION=/etc/logrotate.d/meshvm
FOLDERS=/etc/tmpfiles.d/meshvm.conf
TIMER=meshvm-gateway
UNITS=/etc/systemd/system

remove_around() {
	rm -f "$ROTATION" "$FOLDERS"
	ours tmpfiles && rmdir /etc/tmpfiles.d
	stop_following
}

# Also when the gateway has addresses from now on, which do not change by themselves.
stop_following() {
	[ -e "$UNITS/$TIMER.timer" ] || return 0
	systemctl disable --now "$TIMER.timer"
	rm -f "$UNITS/$TIMER.timer" "$UNITS/$TIMER.service" "$STATE/gateway"
	systemctl daemon-reload
}
