from ddpm_tools.cli.main import main

main()
