#!/usr/bin/env bash
# Installs Avatar Pipeline here, or brings it up to date: Python 3.11, the virtual environment .venv, the PyTorch that fits the card
# that is found, every package of requirements.txt. Nothing outside this folder is changed (uv keeps its downloads in its own cache),
# nothing needs sudo, and clients/ and settings are never touched. Stopped or failed, run it again: it goes on.
#
#   ./install.sh [--plan] [--cpu] [--no-update] [--requirements FILE]
#
# --plan only says what would be installed; --cpu takes the PyTorch for the processor whatever card is here; --no-update leaves
# the program's own files as they are. What was done stands in logs/install-TIME.log.
set -uo pipefail

WHEELS="https://download.pytorch.org/whl" # PyTorch's own index
UV_INSTALLER="https://astral.sh/uv/install.sh"

# --- words ------------------------------------------------------------------------------------------------------------
spanish=no
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in es*) spanish=yes ;; esac

say() { # ENGLISH SPANISH
    if [ "$spanish" = yes ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi
    [ -z "${log:-}" ] || printf '== %s\n' "$1" >>"$log"
}

give_up() { # ENGLISH SPANISH: what happened, and the cure behind it
    say "$1" "$2" >&2
    [ -z "${log:-}" ] || say "Everything that was said: $log" "Todo lo que se dijo: $log" >&2
    exit 1
}

usage() {
    say "usage: ./install.sh [--plan] [--cpu] [--no-update] [--requirements FILE]" \
        "uso: ./install.sh [--plan] [--cpu] [--no-update] [--requirements ARCHIVO]"
}

# --- running one step -------------------------------------------------------------------------------------------------
elapsed() { # PID: the seconds that a step takes, where a person looks on
    local seconds=0
    [ -t 1 ] || return 0
    while kill -0 "$1" 2>/dev/null; do
        printf '\r  %d s ' "$seconds"
        sleep 1
        seconds=$((seconds + 1))
    done
    printf '\r          \r'
}

run() { # a command, its words into the log; its exit status
    printf '$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null &
    local child=$!
    # Ctrl-C ends the step too; what was downloaded stays in uv's cache.
    trap 'kill "$child" 2>/dev/null; say "Stopped. Run it again to go on." "Detenido. Ejecútalo otra vez para seguir."; exit 130' INT TERM
    elapsed "$child"
    wait "$child"
    local status=$?
    trap - INT TERM
    return "$status"
}

explain() { # ENGLISH SPANISH: a step failed; the cure is told from the last lines of the log
    local tail
    tail=$(tail -n 40 "$log")
    say "$1" "$2" >&2
    printf '%s\n' "$tail" | grep -v '^==\|^\$\|^ *$' | tail -n 3 | sed 's/^/    /' >&2
    case "$tail" in
    *"No space left"* | *"os error 28"* | *"Disk quota"*)
        give_up "The disk is full. Free some space and run this again: it goes on." \
            "El disco está lleno. Libera espacio y ejecútalo otra vez: sigue donde estaba." ;;
    *"dns error"* | *"Could not resolve"* | *"name resolution"* | *"Failed to fetch"* | *"error sending request"* | *"timed out"* | *"onnection"*)
        give_up "There seems to be no network, or a proxy is in the way. Try again with a connection: what has arrived is kept." \
            "Parece que no hay red, o un proxy lo impide. Prueba otra vez con conexión: lo que ya llegó se conserva." ;;
    *"Permission denied"* | *"os error 13"*)
        give_up "This folder may not be written to. Move the program into a folder of your own (not with sudo) and run this again." \
            "No se puede escribir en esta carpeta. Lleva el programa a una carpeta tuya (sin sudo) y ejecútalo otra vez." ;;
    *"hash"*"mismatch"* | *"invalid"*"wheel"* | *"CRC"*)
        give_up "A download arrived damaged. Run this again; if it stays so: .uv/bin/uv cache clean" \
            "Una descarga llegó dañada. Ejecútalo otra vez; si sigue igual: .uv/bin/uv cache clean" ;;
    *)
        give_up "Run this again; if it fails at the same place, the log says why." \
            "Ejecútalo otra vez; si falla en el mismo sitio, el registro dice por qué." ;;
    esac
}

# --- what is here -----------------------------------------------------------------------------------------------------
find_card() { # sets card, driver and capability; card is empty where there is none
    card="" driver=0 capability=0
    local line
    [ "$cpu" = no ] && [ "$(uname -s)" = Linux ] && command -v nvidia-smi >/dev/null || return 0
    # The card with the most memory, which is the one that trains. An old driver does not know compute_cap.
    line=$(nvidia-smi --query-gpu=memory.total,driver_version,compute_cap,name --format=csv,noheader,nounits 2>/dev/null |
        sort -t, -k1,1 -rn | head -n 1)
    case "$line" in
    [0-9]*,*,*,*) ;;
    *) line=$(nvidia-smi --query-gpu=memory.total,driver_version,name --format=csv,noheader,nounits 2>/dev/null |
        sort -t, -k1,1 -rn | head -n 1 | sed 's/, */, 0, /2') ;;
    esac
    case "$line" in
    [0-9]*,*,*,*) ;;
    *) return 0 ;;
    esac
    driver=$(printf '%s' "$line" | cut -d, -f2 | tr -d ' ' | cut -d. -f1)
    capability=$(printf '%s' "$line" | cut -d, -f3 | tr -d ' .')
    card=$(printf '%s' "$line" | cut -d, -f4- | sed 's/^ *//')
    case "$driver$capability" in *[!0-9]*) card="" driver=0 capability=0 ;; esac
}

choose_torch() { # sets builds: what to ask PyTorch's index for, the best first; "default" is the package index as it is set here
    # CUDA 13 needs driver 580 and a card of the GTX 16 or RTX 20 series or newer; CUDA 12 needs driver 525, the RTX 50 series CUDA 12.8.
    if [ "$(uname -s)" = Darwin ]; then
        builds="default"
    elif [ -z "$card" ]; then
        builds="cpu default"
    elif [ "$driver" -ge 580 ] && { [ "$capability" -ge 75 ] || [ "$capability" -eq 0 ]; }; then
        builds="cu130 default"
    elif [ "$driver" -ge 525 ] && [ "$capability" -ge 100 ]; then
        builds="cu128 cu129"
    elif [ "$driver" -ge 525 ]; then
        builds="cu126 cu128"
    else
        builds="cpu default"
    fi
}

torch_wanted() { # the line of the requirements that names torch; nothing where there is none
    sed -n 's/^\(torch==[0-9][0-9.]*\).*/\1/p' "$requirements" | head -n 1
}

tell_plan() {
    if [ -n "$card" ] && [ "$driver" -lt 525 ]; then
        say "Card: $card, but its driver ($driver) is too old for today's PyTorch. Install driver 580 or newer, then run this again." \
            "Tarjeta: $card, pero su controlador ($driver) es demasiado viejo para el PyTorch de hoy. Instala el 580 o posterior y ejecútalo otra vez."
    elif [ -n "$card" ]; then
        say "Card: $card, driver $driver." "Tarjeta: $card, controlador $driver."
    else
        say "No NVIDIA card: the PyTorch for the processor." "No hay tarjeta NVIDIA: el PyTorch para el procesador."
    fi
    [ -z "$(torch_wanted)" ] || say "PyTorch: $(torch_wanted), ${builds%% *}" "PyTorch: $(torch_wanted), ${builds%% *}"
}

check_room() {
    local needed=7 free
    case "$builds" in cu*) needed=14 ;; esac
    [ -n "$(torch_wanted)" ] || return 0 # a short list of packages
    [ -x .venv/bin/python ] && needed=2  # most of it is here
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge "$needed" ] ||
        give_up "Only $free GB are free here; $needed GB are needed. Free some space and run this again." \
            "Aquí solo hay $free GB libres y hacen falta $needed GB. Libera espacio y ejecútalo otra vez."
}

# --- the steps --------------------------------------------------------------------------------------------------------
update_program() { # the newest version, where this is a clean clone; then the new installer goes on
    [ "$update" = yes ] && [ -d .git ] && command -v git >/dev/null || return 0
    git rev-parse '@{upstream}' >/dev/null 2>&1 || return 0
    if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
        say "Files of the program were changed here, so it is not brought up to date." \
            "Aquí se cambiaron archivos del programa, así que no se actualiza."
        return 0
    fi
    say "Looking for a newer version ..." "Buscando una versión más nueva ..."
    local before
    before=$(git rev-parse HEAD)
    if ! GIT_TERMINAL_PROMPT=0 run git pull --ff-only --quiet; then
        say "It could not be fetched; going on with the version that is here." "No se pudo descargar; se sigue con la versión que hay."
    elif [ "$before" != "$(git rev-parse HEAD)" ]; then
        say "A newer version is here." "Hay una versión más nueva."
        exec bash ./install.sh --no-update ${words[@]+"${words[@]}"}
    fi
}

find_uv() { # sets uv: the one that is installed, else one in .uv, from its package or its own installer
    for uv in uv .uv/bin/uv; do
        if command -v "$uv" >/dev/null && "$uv" --version >>"$log" 2>&1; then return 0; fi
    done
    say "Fetching uv, which installs Python and the packages ..." "Descargando uv, que instala Python y los paquetes ..."
    uv=.uv/bin/uv
    if command -v python3 >/dev/null && run python3 -m venv .uv && run .uv/bin/python -m pip install --quiet uv && [ -x "$uv" ]; then
        return 0
    fi
    rm -rf .uv
    mkdir -p .uv/bin
    if command -v curl >/dev/null; then
        run curl -LsSf "$UV_INSTALLER" -o .uv/installer.sh
    else
        run wget -qO .uv/installer.sh "$UV_INSTALLER"
    fi && UV_INSTALL_DIR="$PWD/.uv/bin" UV_NO_MODIFY_PATH=1 run sh .uv/installer.sh && [ -x "$uv" ] && return 0
    explain "uv could not be fetched:" "No se pudo descargar uv:"
}

make_venv() { # .venv with Python 3.11, or the one that is here if it works
    local version
    if version=$(.venv/bin/python -c 'import sys; print(sys.version_info[0] * 100 + sys.version_info[1])' 2>/dev/null); then
        case "$version" in 311 | 312 | 313) return 0 ;; esac
    fi
    say "Python 3.11 and .venv ..." "Python 3.11 y .venv ..."
    rm -rf .venv # one that does not work: nothing but packages is in it
    # pip too: the Makefile and the cures of the doctor call it.
    if ! { run "$uv" venv --python 3.11 .venv && add_pip; }; then
        explain "Python 3.11 could not be set up:" "No se pudo preparar Python 3.11:"
    fi
}

add_pip() {
    run "$uv" pip install --python .venv/bin/python pip || run .venv/bin/python -m ensurepip
}

install_torch() { # the build that fits, unless it is here; each index is tried in turn
    local wanted build here
    wanted=$(torch_wanted)
    [ -n "$wanted" ] || return 0
    here=$(sed -n "s/^__version__ = ['\"]\(.*\)['\"]/\1/p; s/^cuda[^=]*= ['\"]\(.*\)['\"]/cuda\1/p" .venv/lib/python3.*/site-packages/torch/version.py 2>/dev/null | tr '\n' ' ')
    case "$here" in
    "${wanted#torch==}"*cuda*) [ -z "$card" ] || fits_driver "$here" && return 0 ;;
    "${wanted#torch==}"*) case "$builds" in cu*) ;; *) return 0 ;; esac ;;
    esac
    say "PyTorch, some minutes ..." "PyTorch, unos minutos ..."
    for build in $builds; do
        if [ "$build" = default ]; then
            run "$uv" pip install --python .venv/bin/python --reinstall-package torch "$wanted" && return 0
        elif run "$uv" pip install --python .venv/bin/python --reinstall-package torch --index "$WHEELS/$build" --index-strategy first-index "$wanted"; then
            return 0
        fi
    done
    explain "PyTorch could not be installed:" "No se pudo instalar PyTorch:"
}

fits_driver() { # VERSIONS: whether the CUDA of an installed PyTorch runs on the driver
    case "$1" in
    *cuda13*) [ "$driver" -ge 580 ] && { [ "$capability" -ge 75 ] || [ "$capability" -eq 0 ]; } ;;
    *cuda12*) [ "$driver" -ge 525 ] ;;
    *) false ;;
    esac
}

install_packages() {
    say "The packages, some minutes the first time ..." "Los paquetes, unos minutos la primera vez ..."
    run "$uv" pip install --python .venv/bin/python -r "$requirements" ||
        explain "The packages could not be installed:" "No se pudieron instalar los paquetes:"
    touch .venv/installed # the Makefile's own mark
}

try_it() {
    say "Trying it ..." "Probándolo ..."
    run .venv/bin/python avatar_pipeline.py --version || explain "The program does not start:" "El programa no arranca:"
    [ -n "$(torch_wanted)" ] || return 0
    if ! run .venv/bin/python -c 'import cv2, torch'; then
        case "$(tail -n 20 "$log")" in
        *libGL* | *libglib* | *libxcb*)
            give_up "A library of the system is missing. On Debian or Ubuntu: sudo apt install libgl1 libglib2.0-0 libxcb1. Then run this again." \
                "Falta una biblioteca del sistema. En Debian o Ubuntu: sudo apt install libgl1 libglib2.0-0 libxcb1. Después ejecútalo otra vez." ;;
        esac
        explain "The packages do not load:" "Los paquetes no se cargan:"
    fi
    if [ -n "$card" ] && [ "$driver" -ge 525 ] && ! run .venv/bin/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
        say "PyTorch does not see the card: restart the computer or install the newest driver. More: .venv/bin/python avatar_pipeline.py doctor" \
            "PyTorch no ve la tarjeta: reinicia el equipo o instala el controlador más nuevo. Más: .venv/bin/python avatar_pipeline.py doctor"
    fi
}

main() {
    cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
    words=("$@")
    local plan=no
    cpu=no update=yes requirements=requirements.txt log=""
    while [ $# -gt 0 ]; do
        case "$1" in
        --plan) plan=yes ;;
        --cpu) cpu=yes ;;
        --no-update) update=no ;;
        --requirements)
            requirements="${2:-}"
            shift
            ;;
        -h | --help)
            usage
            return 0
            ;;
        *)
            usage >&2
            return 2
            ;;
        esac
        shift
    done
    [ -f "$requirements" ] || give_up "There is no file $requirements." "No existe el archivo $requirements."
    find_card
    choose_torch
    if [ "$plan" = yes ]; then
        tell_plan
        return 0
    fi
    log="logs/install-$(date +%Y-%m-%d_%H%M%S).log"
    if ! { mkdir -p logs && : >"$log"; } 2>/dev/null; then
        log=""
        give_up "This folder may not be written to. Move the program into a folder of your own and run this again." \
            "No se puede escribir en esta carpeta. Lleva el programa a una carpeta tuya y ejecútalo otra vez."
    fi
    tell_plan
    check_room
    update_program
    find_uv
    make_venv
    install_torch
    install_packages
    try_it
    say "Done. Start it with: ./start.sh" "Listo. Ábrelo con: ./start.sh"
}

main "$@"
exit # an update may have written this file anew: nothing below what was read is run
