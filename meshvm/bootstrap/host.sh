# shellcheck shell=sh
# The machine's first session: look, turn connection tracking on, leave a mark. It touches nothing else, because the
# session itself would not survive what joining does. Its last session: off-boarding.

main() {
	begin "$1"
	case $1 in
	prepare)
		first_boot_done
		preflight
		tracking -C || tracking -A || fail "connection tracking could not be turned on with iptables; the log is $LOG on the machine"
		put "$STATE/mark" 0600 root:root "$MESHVM_MARK"
		log "done prepare"
		;;
	offboard) offboard ;;
	esac
}

