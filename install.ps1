# Installs Avatar Pipeline here, or brings it up to date, on Windows: Python 3.11, the virtual environment .venv, the PyTorch that fits
# the card that is found, every package of requirements.txt. Nothing outside this folder is changed (uv keeps its downloads in its own
# cache), nothing needs an administrator, and clients and settings are never touched. Stopped or failed, run it again: it goes on.
#
#   powershell -ExecutionPolicy Bypass -File install.ps1 [-Plan] [-Cpu] [-NoUpdate] [-Requirements FILE]
#
# The twin of install.sh. -Plan only says what would be installed. What was done stands in logs\install-TIME.log.
param([switch]$Plan, [switch]$Cpu, [switch]$NoUpdate, [string]$Requirements = 'requirements.txt')

$ErrorActionPreference = 'Stop'
$Wheels = 'https://download.pytorch.org/whl' # PyTorch's own index
$UvInstaller = 'https://astral.sh/uv/install.ps1'
$Python = '.venv\Scripts\python.exe'
$Spanish = (Get-Culture).TwoLetterISOLanguageName -eq 'es'
$Log = ''
Set-Location -LiteralPath $PSScriptRoot
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8

# --- words ------------------------------------------------------------------------------------------------------------
function Say([string]$English, [string]$InSpanish) {
    if ($Spanish) { Write-Host $InSpanish } else { Write-Host $English }
    if ($Log) { Add-Content -LiteralPath $Log -Value "== $English" -Encoding UTF8 }
}

function Stop-Here([string]$English, [string]$InSpanish) { # what happened, and the cure behind it
    Say $English $InSpanish
    if ($Log) { Say "Everything that was said: $Log" "Todo lo que se dijo: $Log" }
    exit 1
}

# --- running one step -------------------------------------------------------------------------------------------------
function Invoke-Step([string]$Program, [string[]]$Words) { # what it says into the log; whether it ended well
    Add-Content -LiteralPath $Log -Value ('$ ' + $Program + ' ' + ($Words -join ' ')) -Encoding UTF8
    $before = $ErrorActionPreference
    $ErrorActionPreference = 'Continue' # Windows PowerShell makes an error of every line on stderr
    try {
        & $Program @Words 2>&1 | ForEach-Object { Add-Content -LiteralPath $Log -Value "$_" -Encoding UTF8 }
        return ($LASTEXITCODE -eq 0)
    } catch {
        Add-Content -LiteralPath $Log -Value "$_" -Encoding UTF8
        return $false
    } finally {
        $ErrorActionPreference = $before
    }
}

function Stop-Explained([string]$English, [string]$InSpanish) { # a step failed; the cure is told from the last lines of the log
    $tail = @(Get-Content -LiteralPath $Log -Tail 40 -Encoding UTF8)
    Say $English $InSpanish
    $tail | Where-Object { $_.Trim() -and $_ -notmatch '^(==|\$ )' } | Select-Object -Last 3 | ForEach-Object { Write-Host "    $_" }
    switch -Regex ($tail -join "`n") {
        'No space left|os error 112|not enough space' {
            Stop-Here 'The disk is full. Free some space and run this again: it goes on.' `
                'El disco está lleno. Libera espacio y ejecútalo otra vez: sigue donde estaba.'
        }
        'dns error|resolve|Failed to fetch|error sending request|timed out|onnection' {
            Stop-Here 'There seems to be no network, or a proxy is in the way. Try again with a connection: what has arrived is kept.' `
                'Parece que no hay red, o un proxy lo impide. Prueba otra vez con conexión: lo que ya llegó se conserva.'
        }
        'os error 5|os error 32|Access is denied' {
            Stop-Here 'A file is in use, or this folder may not be written to. Close the program and other windows of it, and run this again.' `
                'Un archivo está en uso, o no se puede escribir en esta carpeta. Cierra el programa y sus otras ventanas y ejecútalo otra vez.'
        }
    }
    Stop-Here 'Run this again; if it fails at the same place, the log says why.' `
        'Ejecútalo otra vez; si falla en el mismo sitio, el registro dice por qué.'
}

# --- what is here -----------------------------------------------------------------------------------------------------
function Find-Card { # the card with the most memory, which is the one that trains; $null where there is none
    if ($Cpu -or -not (Get-Command nvidia-smi -ErrorAction SilentlyContinue)) { return $null }
    $ErrorActionPreference = 'Continue' # of this function alone
    try {
        # An old driver does not know compute_cap.
        $lines = @(& nvidia-smi '--query-gpu=memory.total,driver_version,compute_cap,name' '--format=csv,noheader,nounits' 2>$null)
        if (-not ($lines -match '^\d+,.*,.*,')) {
            $lines = @(& nvidia-smi '--query-gpu=memory.total,driver_version,name' '--format=csv,noheader,nounits' 2>$null) |
                ForEach-Object { $_ -replace '^([^,]*,[^,]*),', '$1, 0,' }
        }
    } catch { return $null }
    $found = foreach ($line in $lines) {
        if ($line -match '^(?<memory>\d+), *(?<driver>\d+)[\d.]*, *(?<capability>[\d.]+), *(?<name>.+)$') {
            [pscustomobject]@{
                Memory = [int]$Matches.memory; Driver = [int]$Matches.driver
                Capability = [int]($Matches.capability -replace '\.', ''); Name = $Matches.name
            }
        }
    }
    return ($found | Sort-Object Memory -Descending | Select-Object -First 1)
}

function Get-Builds($Card) { # what to ask PyTorch's index for, the best first
    # CUDA 13 needs driver 580 and a card of the GTX 16 or RTX 20 series or newer; CUDA 12 driver 525, the RTX 50 series CUDA 12.8.
    if (-not $Card -or $Card.Driver -lt 525) { return @('cpu', 'default') }
    if ($Card.Driver -ge 580 -and ($Card.Capability -ge 75 -or $Card.Capability -eq 0)) { return @('cu130') }
    if ($Card.Capability -ge 100) { return @('cu128', 'cu129') }
    return @('cu126', 'cu128')
}

function Get-WantedTorch { # the line of the requirements that names torch; nothing where there is none
    foreach ($line in Get-Content -LiteralPath $Requirements -Encoding UTF8) {
        if ($line -match '^(torch==[0-9][0-9.]*)') { return $Matches[1] }
    }
    return ''
}

function Show-Plan($Card, [string[]]$Builds) {
    if ($Card -and $Card.Driver -lt 525) {
        Say "Card: $($Card.Name), but its driver ($($Card.Driver)) is too old for today's PyTorch. Install driver 580 or newer, then run this again." `
            "Tarjeta: $($Card.Name), pero su controlador ($($Card.Driver)) es demasiado viejo para el PyTorch de hoy. Instala el 580 o posterior y ejecútalo otra vez."
    } elseif ($Card) {
        Say "Card: $($Card.Name), driver $($Card.Driver)." "Tarjeta: $($Card.Name), controlador $($Card.Driver)."
    } else {
        Say 'No NVIDIA card: the PyTorch for the processor.' 'No hay tarjeta NVIDIA: el PyTorch para el procesador.'
    }
    $wanted = Get-WantedTorch
    if ($wanted) { Say "PyTorch: $wanted, $($Builds[0])" "PyTorch: $wanted, $($Builds[0])" }
}

function Test-Room([string[]]$Builds) {
    if (-not (Get-WantedTorch)) { return } # a short list of packages
    $needed = if (Test-Path -LiteralPath $Python) { 2 } elseif ($Builds[0] -like 'cu*') { 14 } else { 7 }
    $free = [math]::Floor((Get-Item -LiteralPath .).PSDrive.Free / 1073741824)
    if ($free -lt $needed) {
        Stop-Here "Only $free GB are free here; $needed GB are needed. Free some space and run this again." `
            "Aquí solo hay $free GB libres y hacen falta $needed GB. Libera espacio y ejecútalo otra vez."
    }
}

# --- the steps --------------------------------------------------------------------------------------------------------
function Update-Program { # the newest version, where this is a clean clone; then the new installer goes on
    if ($NoUpdate -or -not (Test-Path -LiteralPath .git) -or -not (Get-Command git -ErrorAction SilentlyContinue)) { return }
    if (-not (Invoke-Step 'git' @('rev-parse', '@{upstream}'))) { return }
    if (& git status --porcelain '--untracked-files=no') {
        Say 'Files of the program were changed here, so it is not brought up to date.' `
            'Aquí se cambiaron archivos del programa, así que no se actualiza.'
        return
    }
    Say 'Looking for a newer version ...' 'Buscando una versión más nueva ...'
    $env:GIT_TERMINAL_PROMPT = '0'
    $before = & git rev-parse HEAD
    if (-not (Invoke-Step 'git' @('pull', '--ff-only', '--quiet'))) {
        Say 'It could not be fetched; going on with the version that is here.' 'No se pudo descargar; se sigue con la versión que hay.'
    } elseif ($before -ne (& git rev-parse HEAD)) {
        Say 'A newer version is here.' 'Hay una versión más nueva.'
        & $PSCommandPath -NoUpdate -Cpu:$Cpu -Requirements $Requirements
        exit $LASTEXITCODE
    }
}

function Find-Uv { # the one that is installed, else one in .uv, from its own installer
    foreach ($uv in @('uv', '.uv\bin\uv.exe')) {
        if ((Get-Command $uv -ErrorAction SilentlyContinue) -and (Invoke-Step $uv @('--version'))) { return $uv }
    }
    Say 'Fetching uv, which installs Python and the packages ...' 'Descargando uv, que instala Python y los paquetes ...'
    New-Item -ItemType Directory -Force -Path .uv\bin | Out-Null
    $env:UV_INSTALL_DIR = Join-Path $PSScriptRoot '.uv\bin'
    $env:UV_NO_MODIFY_PATH = '1'
    try {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12 # Windows PowerShell's own choice is older
        Invoke-WebRequest -UseBasicParsing -Uri $UvInstaller -OutFile .uv\installer.ps1
        $shell = (Get-Process -Id $PID).Path
        if (Invoke-Step $shell @('-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', '.uv\installer.ps1')) {
            if (Test-Path -LiteralPath .uv\bin\uv.exe) { return '.uv\bin\uv.exe' }
        }
    } catch {
        Add-Content -LiteralPath $Log -Value "$_" -Encoding UTF8
    }
    Stop-Explained 'uv could not be fetched:' 'No se pudo descargar uv:'
}

function New-Venv([string]$Uv) { # .venv with Python 3.11, or the one that is here if it works
    if (Test-Path -LiteralPath $Python) {
        if (Invoke-Step $Python @('-c', 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))')) { return }
    }
    Say 'Python 3.11 and .venv ...' 'Python 3.11 y .venv ...'
    if (Test-Path -LiteralPath .venv) { Remove-Item -LiteralPath .venv -Recurse -Force } # one that does not work: only packages are in it
    # pip too: the cures of the doctor call it.
    $made = Invoke-Step $Uv @('venv', '--python', '3.11', '.venv')
    if (-not ($made -and (Invoke-Step $Uv @('pip', 'install', '--python', $Python, 'pip')))) {
        Stop-Explained 'Python 3.11 could not be set up:' 'No se pudo preparar Python 3.11:'
    }
}

function Test-Torch([string]$Wanted, [string[]]$Builds) { # whether the PyTorch that is here is the one that fits
    $file = '.venv\Lib\site-packages\torch\version.py'
    if (-not (Test-Path -LiteralPath $file)) { return $false }
    $told = Get-Content -LiteralPath $file -Raw -Encoding UTF8
    if ($told -notmatch ("(?m)^__version__ = ['""]" + [regex]::Escape($Wanted.Substring(7)) + "(\+|['""])")) { return $false }
    $cuda = if ($told -match "(?m)^cuda[^=]*= ['""](\d+)") { [int]$Matches[1] } else { 0 }
    if ($Builds[0] -notlike 'cu*') { return ($cuda -eq 0) }
    if ($cuda -ge 13) { return ($Builds[0] -like 'cu13*') }
    return ($cuda -eq 12)
}

function Install-Torch([string]$Uv, [string[]]$Builds) { # each index is tried in turn
    $wanted = Get-WantedTorch
    if (-not $wanted -or (Test-Torch $wanted $Builds)) { return }
    Say 'PyTorch, some minutes ...' 'PyTorch, unos minutos ...'
    foreach ($build in $Builds) {
        $words = @('pip', 'install', '--python', $Python, '--reinstall-package', 'torch')
        if ($build -ne 'default') { $words += @('--index', "$Wheels/$build", '--index-strategy', 'first-index') }
        if (Invoke-Step $Uv ($words + $wanted)) { return }
    }
    Stop-Explained 'PyTorch could not be installed:' 'No se pudo instalar PyTorch:'
}

function Install-Packages([string]$Uv) {
    Say 'The packages, some minutes the first time ...' 'Los paquetes, unos minutos la primera vez ...'
    if (-not (Invoke-Step $Uv @('pip', 'install', '--python', $Python, '-r', $Requirements))) {
        Stop-Explained 'The packages could not be installed:' 'No se pudieron instalar los paquetes:'
    }
    New-Item -ItemType File -Force -Path .venv\installed | Out-Null
}

function Test-Program($Card) {
    Say 'Trying it ...' 'Probándolo ...'
    if (-not (Invoke-Step $Python @('avatar_pipeline.py', '--version'))) {
        Stop-Explained 'The program does not start:' 'El programa no arranca:'
    }
    if (-not (Get-WantedTorch)) { return }
    if (-not (Invoke-Step $Python @('-c', 'import cv2, torch'))) {
        Say 'Windows may lack the Visual C++ runtime: winget install Microsoft.VCRedist.2015+.x64' `
            'A Windows le puede faltar Visual C++: winget install Microsoft.VCRedist.2015+.x64'
        Stop-Explained 'The packages do not load:' 'Los paquetes no se cargan:'
    }
    if ($Card -and $Card.Driver -ge 525) {
        if (-not (Invoke-Step $Python @('-c', 'import sys, torch; sys.exit(not torch.cuda.is_available())'))) {
            Say "PyTorch does not see the card: restart the computer or install the newest driver. More: $Python avatar_pipeline.py doctor" `
                "PyTorch no ve la tarjeta: reinicia el equipo o instala el controlador más nuevo. Más: $Python avatar_pipeline.py doctor"
        }
    }
}

# --- all of it --------------------------------------------------------------------------------------------------------
if (-not (Test-Path -LiteralPath $Requirements)) { Stop-Here "There is no file $Requirements." "No existe el archivo $Requirements." }
$card = Find-Card
$builds = @(Get-Builds $card)
if ($Plan) {
    Show-Plan $card $builds
    exit 0
}
try {
    New-Item -ItemType Directory -Force -Path logs | Out-Null
    $Log = Join-Path 'logs' ('install-{0:yyyy-MM-dd_HHmmss}.log' -f (Get-Date))
    New-Item -ItemType File -Force -Path $Log | Out-Null
} catch {
    $Log = ''
    Stop-Here 'This folder may not be written to. Move the program into a folder of your own and run this again.' `
        'No se puede escribir en esta carpeta. Lleva el programa a una carpeta tuya y ejecútalo otra vez.'
}
Show-Plan $card $builds
Test-Room $builds
Update-Program
$uv = Find-Uv
New-Venv $uv
Install-Torch $uv $builds
Install-Packages $uv
Test-Program $card
Say 'Done. Start it with a double click on start.bat.' 'Listo. Ábrelo con un doble clic en start.bat.'
