# shellcheck shell=sh
# What stands around the sidecar on the machine: the rotation of its logs, the folder of its token, and the timer that
# keeps up with its gateway.

put_around() {
	rotate_logs
	keep_token_folder
	follow_gateway
}

# The package's own unit writes /var/log/istio without end. copytruncate, because the agent holds the file; su, because
# the folder is the proxy's.
rotate_logs() {
	if [ -d "${ROTATION%/*}" ] && command -v logrotate >/dev/null; then
		put "$ROTATION" 0644 root:root "/var/log/istio/*.log {
	su istio-proxy istio-proxy
	size ${MESHVM_LOG_MEGABYTES}M
	rotate $MESHVM_LOG_FILES
	copytruncate
	compress
	missingok
	notifempty
}
"
	else
		rm -f "$ROTATION"
	fi
}

# On Google's machines the agent writes its token itself, also after a restart, which empties /run.
keep_token_folder() {
	if [ "$MESHVM_IDENTITY" = GCE ]; then
		remember_absent tmpfiles exists /etc/tmpfiles.d
		mkdir -p /etc/tmpfiles.d
		put "$FOLDERS" 0644 root:root "d /run/secrets 0755 istio-proxy root
d /run/secrets/tokens 0700 istio-proxy istio-proxy
"
	else
		rm -f "$FOLDERS"
	fi
}

follow_gateway() {
	[ -n "$MESHVM_FOLLOW" ] || {
		stop_following
		return 0
	}
	put "$STATE/gateway" 0600 root:root "$MESHVM_FOLLOW"
	put "$UNITS/$TIMER.service" 0644 root:root "[Unit]
Description=meshvm: the addresses of the mesh's gateway
After=network-online.target

[Service]
Type=oneshot
ExecStart=/bin/sh $STATE/gateway follow
TimeoutStartSec=60
"
	put "$UNITS/$TIMER.timer" 0644 root:root "[Unit]
Description=meshvm: ask for the addresses of the mesh's gateway

[Timer]
OnBootSec=30
OnUnitActiveSec=300
RandomizedDelaySec=30

[Install]
WantedBy=timers.target
"
	systemctl daemon-reload
	systemctl enable --now "$TIMER.timer"
}
