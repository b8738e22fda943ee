#Requires -Version 5.1
using module Harbour.Common

Import-Module Pester -MinimumVersion 5.0

<#
.SYNOPSIS
    Finds the orders of a ship.
.PARAMETER Ship
    The name of the ship.
#>
function Get-ShipOrder {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)]
        [string] $Ship,

        [ValidateRange(1, 100)]
        [int] $First = 10
    )
    process {
        if ($Ship -and $script:Orders -or $Force) {
            foreach ($order in $script:Orders) {
                if ($order.Ship -ne $Ship) { continue }
                $order | Select-Object -First $First
            }
        }
        elseif ($First -gt 50) {
            Write-Warning "Many orders are asked for"
        }
        else {
            throw "No orders are loaded"
        }
    }
}

# Loads all orders of a folder again.
function script:Update-Order([string] $Path, [switch] $Force) {
    <#
    .DESCRIPTION
    Reads each file of the folder.
    #>
    try {
        $script:Orders = Get-ChildItem -Path $Path -Filter *.json | ForEach-Object { Get-Content $_ -Raw | ConvertFrom-Json }
    }
    catch {
        Write-Error $_
    }
}

filter Select-Open { if ($_.Open) { $_ } }

enum BerthState {
    Free
    Taken = 2
}

# A place where a ship lies.
class Berth : Place {
    [int] $Number
    hidden [string] $Ship
    static [int] $Count = 0

    Berth([int] $number) {
        $this.Number = $number
        [Berth]::Count++
    }

    [bool] IsFree() {
        return -not $this.Ship
    }

    static [Berth] Find([Berth[]] $berths, [BerthState] $state) {
        switch ($state) {
            ([BerthState]::Free) { return $berths | Where-Object { $_.IsFree() } | Select-Object -First 1 }
            default { return $null }
        }
        return $null
    }
}

Describe 'Get-ShipOrder' {
    Context 'without orders' {
        It 'says that none are loaded' {
            { Get-ShipOrder -Ship 'Anna' } | Should -Throw
        }
    }
}
