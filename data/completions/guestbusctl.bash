# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for guestbusctl(1)

# Candidates one per line, for names with blanks and quotes in them.
__guestbusctl_candidates() {
    local cur=$1 line
    COMPREPLY=()
    while IFS= read -r line; do
        [[ $line == "$cur"* ]] && COMPREPLY+=("$(printf %q "$line")")
    done
}

# The verb among the words before the cursor, or nothing; options and their values are passed over.
__guestbusctl_verb() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -H | --host | --mode | --delay | --message | --device | --json) ((i++)) ;;
        =) ((i++)) ;;
        -*) ;;
        *) printf '%s %d' "${COMP_WORDS[i]}" "$i"; return ;;
        esac
    done
}

_guestbusctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb at
    local verbs="list show sources xml events start shutdown reboot reset force-off pause resume wakeup save
        set-memory autostart console graphics guest-shutdown guest-reboot cancel-shutdown lock logoff login refresh
        reload reconnect report"
    local options="--help --version --host --json --no-pager --no-legend --no-ask-password"

    # bash takes "--mode=ag" apart at the "=".
    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
    case $prev in
    --mode) COMPREPLY=($(compgen -W "agent acpi" -- "$cur")); return ;;
    --json) COMPREPLY=($(compgen -W "short pretty off" -- "$cur")); return ;;
    --host | -H) COMPREPLY=($(compgen -A hostname -- "$cur")); return ;;
    --delay | --message | --device) return ;;
    esac

    read -r verb at < <(__guestbusctl_verb; echo)
    if [[ $cur == -* ]]; then
        case $verb in
        start) options+=" --paused --bypass-saved" ;;
        shutdown | reboot) options+=" --mode" ;;
        guest-shutdown | guest-reboot) options+=" --delay --message --guest-delay" ;;
        events) options+=" --qmp" ;;
        console) options+=" --force --device" ;;
        xml) options+=" --inactive --secrets" ;;
        show) options+=" --all" ;;
        report) options+=" --test" ;;
        esac
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        return
    fi
    case $verb in
    "") COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
    reconnect | sources) __guestbusctl_candidates "$cur" < <(guestbusctl complete sources 2>/dev/null) ;;
    report) ((COMP_CWORD == at + 1)) && COMPREPLY=($(compgen -W "status send show reload" -- "$cur")) ;;
    autostart)
        if ((COMP_CWORD == at + 2)); then
            COMPREPLY=($(compgen -W "on off" -- "$cur"))
            return
        fi ;;&
    xml | console | graphics | set-memory | login | autostart)
        ((COMP_CWORD == at + 1)) && __guestbusctl_candidates "$cur" < <(guestbusctl complete vms 2>/dev/null) ;;
    reload) ;;
    *) __guestbusctl_candidates "$cur" < <(guestbusctl complete vms 2>/dev/null) ;;
    esac
}

complete -F _guestbusctl guestbusctl
