# The verbs of build.sh on Windows (PowerShell 5.1 or later).
param([string] $Verb = '', [Parameter(ValueFromRemainingArguments = $true)] [string[]] $Rest = @())

$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
$env:DOTNET_NOLOGO = '1'
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
$env:TESTINGPLATFORM_TELEMETRY_OPTOUT = '1'
# By the environment, because `dotnet format` has no option for it.
$env:Configuration = 'Release'

# Runs dotnet and stops the script where it fails: native commands do not throw by themselves. Quote '--' for it, or PowerShell takes it.
function Invoke-DotNet {
    & dotnet @args
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

function Build {
    Invoke-DotNet restore Leap.sln --verbosity quiet
    Invoke-DotNet build Leap.sln --configuration Release --no-restore --verbosity quiet
}

function Test {
    $results = Join-Path $PSScriptRoot 'artifacts/test-results'
    Build
    # After the build, which makes an assembly that the analyzers read.
    Invoke-DotNet format Leap.sln --no-restore --verify-no-changes
    Pack --no-build
    if (Test-Path $results) { Remove-Item -Recurse -Force $results }
    & dotnet test --solution Leap.sln --configuration Release --no-build --no-progress --report-trx --results-directory $results
    $status = $LASTEXITCODE

    $total = 0; $passed = 0; $skipped = 0
    foreach ($file in @(Get-ChildItem -Path $results -Filter *.trx -ErrorAction SilentlyContinue)) {
        $counters = ([xml] (Get-Content -Raw $file.FullName)).TestRun.ResultSummary.Counters
        $total += [int] $counters.total
        $passed += [int] $counters.passed
        $skipped += [int] $counters.notExecuted
    }
    $failed = $total - $passed - $skipped
    $line = "$passed passed, $failed failed"
    if ($skipped -gt 0) { $line += ", $skipped skipped" }
    Write-Host $line
    if ($status -eq 0 -and ($passed -eq 0 -or $failed -gt 0)) { $status = 1 }
    exit $status
}

function Pack {
    $package = Join-Path $PSScriptRoot 'artifacts/package'
    if (Test-Path $package) { Remove-Item -Recurse -Force $package }
    $names = 'Microsoft.ML.Leap.Inference', 'Microsoft.ML.Leap', 'Microsoft.ML.Leap.Extensions.AI'
    if ($args -notcontains '--no-build') { Build }
    Invoke-DotNet run eng/TrimDocumentation.cs '--' @($names | ForEach-Object { "src/$_/bin/Release/net10.0/$_.dll" })
    foreach ($name in $names) { Invoke-DotNet pack "src/$name" --configuration Release --no-build --output $package --verbosity quiet }
    Invoke-DotNet run eng/CheckPackage.cs '--' $package
}

if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) {
    Write-Host 'The .NET 10 SDK is not installed: https://dotnet.microsoft.com/download/dotnet/10.0'
    exit 1
}

switch ($Verb) {
    'build' { Build }
    'test' { Test }
    'quickstart' { Invoke-DotNet run --configuration Release --project samples/QuickStart '--' @Rest }
    'bench' { Invoke-DotNet run --configuration Release --project benchmarks/Microsoft.ML.Leap.Benchmarks '--' @Rest }
    'notebooks' { Invoke-DotNet run --configuration Release --project eng/Notebooks '--' @Rest }
    'pack' { Pack }
    'format' { Invoke-DotNet format Leap.sln }
    default {
        Write-Host 'usage: ./build.ps1 build | test | quickstart [FILE] | bench VERB ... | notebooks [NAME] | pack | format (gpu-kit: build.sh alone)'
        exit 2
    }
}
