//! What `osmoda wallet` can do.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use osmoda_schemas::{kinds::wallet_policy, name::Name};

/// What `osmoda wallet` can do.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// List wallets, and the policies in force.
    List,
    /// Make a wallet with a new key.
    ///
    /// It signs nothing until a Wallet document of that name is in force, and a WalletPolicy lets it.
    Create {
        /// Its name.
        wallet: Name,
        /// Whose keys it has.
        #[arg(long, value_enum)]
        chain: Chain,
    },
    /// Keep a key that there is already, from a file or standard input.
    #[command(after_help = "Examples:\n  osmoda wallet import payments --chain ethereum < key.hex\n  \
        osmoda wallet import payments --chain solana --file words.txt --path \"m/44'/501'/0'/0'\"")]
    Import {
        /// The wallet's name.
        wallet: Name,
        /// Whose key it is.
        #[arg(long, value_enum)]
        chain: Chain,
        /// The file with the key, or with the words of a mnemonic. Default: standard input.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The file with the passphrase of the mnemonic.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// The path of the key below the mnemonic. Default: m/44'/60'/0'/0/0, or m/44'/501'/0'/0'.
        #[arg(long)]
        path: Option<String>,
    },
    /// Sign a transaction, a message or typed data. Nothing is sent to any chain.
    #[command(after_help = "Examples:\n  osmoda wallet sign payments --message 'I am here'\n  \
        osmoda wallet sign payments --typed-data permit.json --explain\n  \
        osmoda wallet sign payments --order order.json")]
    Sign {
        /// The wallet.
        wallet: Name,
        #[command(flatten)]
        what: What,
        /// Show what would come of it, and why; sign nothing.
        #[arg(long)]
        explain: bool,
    },
    /// Sign a transfer of coins or tokens. Nothing is sent to any chain.
    #[command(
        after_help = "Examples:\n  osmoda wallet send payments --to 0x... --amount 0.01 --chain-id 1 --nonce 7 --max-fee 30000000000 --priority-fee 1000000000\n  osmoda wallet send savings --to 9xQe... --amount 5 --asset usdc --blockhash 4uQe..."
    )]
    Send {
        /// The wallet.
        wallet: Name,
        #[command(flatten)]
        transfer: Box<Transfer>,
        /// Show what would come of it, and why; sign nothing.
        #[arg(long)]
        explain: bool,
    },
    /// Show which rules would decide about an order, and why; sign nothing.
    Explain {
        /// The wallet.
        wallet: Name,
        #[command(flatten)]
        what: What,
    },
    /// Let an order of somebody else's pass, once.
    Approve {
        /// The wallet.
        wallet: Name,
        /// What its refusal, or `explain`, says has to be approved.
        payload: String,
        /// It is the destruction of the wallet that is approved, and not a signature.
        #[arg(long)]
        destroy: bool,
        /// It is giving out the wallet's key that is approved, and not a signature.
        #[arg(long, conflicts_with = "destroy")]
        export: bool,
        /// For how many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        ttl: u32,
    },
    /// Destroy a wallet and its key, for good. Somebody else has to approve it, and no document may declare it.
    Delete {
        /// The wallet.
        wallet: Name,
        /// Its address.
        #[arg(long)]
        address: String,
    },
    /// Write a wallet's key to a new file of root's. Its policy has to let it, and somebody else has to approve it.
    Export {
        /// The wallet.
        wallet: Name,
        /// Its address.
        #[arg(long)]
        address: String,
        /// The file; there is none yet.
        #[arg(long)]
        file: PathBuf,
    },
    /// Show what keyd has done and let pass.
    Receipts {
        /// Those after this number.
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
}

/// A chain family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chain {
    /// Ethereum and EVM chains.
    Ethereum,
    /// Solana.
    Solana,
}

impl From<Chain> for wallet_policy::Chain {
    fn from(chain: Chain) -> Self {
        match chain {
            Chain::Ethereum => Self::Ethereum,
            Chain::Solana => Self::Solana,
        }
    }
}

/// What is to be signed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// A text: EIP-191, or Solana's messages off the chain.
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// A file with typed data (EIP-712); `-`: standard input.
    #[arg(long, value_name = "FILE")]
    pub typed_data: Option<PathBuf>,
    /// A transaction without its signature: hexadecimal for Ethereum, base64 for Solana.
    #[arg(long, value_name = "BYTES")]
    pub transaction: Option<String>,
    /// A file with an order in JSON, as POST /wallet/sign takes it; `-`: standard input.
    #[arg(long, value_name = "FILE")]
    pub order: Option<PathBuf>,
}

/// A transfer, with what keyd cannot know: it has no network.
#[derive(Debug, Args)]
pub struct Transfer {
    /// Who gets it.
    #[arg(long, value_name = "ADDRESS")]
    pub to: String,
    /// How much, in whole coins or tokens.
    #[arg(long)]
    pub amount: String,
    /// What: `native`, or the name of a token of the wallet's policy.
    #[arg(long, default_value = "native")]
    pub asset: String,
    /// Ethereum: the chain (EIP-155).
    #[arg(long, requires = "nonce")]
    pub chain_id: Option<u64>,
    /// Ethereum: how many transactions the account has sent before.
    #[arg(long, requires = "chain_id")]
    pub nonce: Option<u64>,
    /// Ethereum: the most gas that it may use. Default: 21000.
    #[arg(long, value_name = "GAS")]
    pub gas_limit: Option<u64>,
    /// Ethereum: the price of gas in wei, for a legacy transaction.
    #[arg(long, value_name = "WEI", conflicts_with_all = ["max_fee", "priority_fee"])]
    pub gas_price: Option<String>,
    /// Ethereum: the most that the price of gas may be, in wei.
    #[arg(long, value_name = "WEI", requires = "priority_fee")]
    pub max_fee: Option<String>,
    /// Ethereum: the most of that price that goes to who builds the block, in wei.
    #[arg(long, value_name = "WEI", requires = "max_fee")]
    pub priority_fee: Option<String>,
    /// Solana: a recent blockhash.
    #[arg(long, conflicts_with_all = ["chain_id", "gas_limit", "gas_price", "max_fee"])]
    pub blockhash: Option<String>,
    /// Solana: the token belongs to Token-2022.
    #[arg(long)]
    pub token_2022: bool,
    /// Solana: it may go to an address without a key.
    #[arg(long)]
    pub to_program: bool,
}
