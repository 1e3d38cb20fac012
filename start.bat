@echo off
rem Opens Avatar Pipeline; where it is not installed yet, or was cut off while it was, install.ps1 comes first.
cd /d "%~dp0"
chcp 65001 >nul
if not exist ".venv\installed" powershell -NoProfile -ExecutionPolicy Bypass -File install.ps1
if not exist ".venv\installed" goto :failed
".venv\Scripts\python.exe" avatar_pipeline.py %*
if errorlevel 1 if not errorlevel 130 pause
exit /b
:failed
pause
exit /b 1
