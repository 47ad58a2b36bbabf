"""Words that people know options and keys by: tables from each word to what to type here."""

from __future__ import annotations


def _each(words: str, meant: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), meant)


OPTIONS = {  # group to word to what is to be typed
    "freezing": _each(
        "fine_tuning finetuning finetune fine_tune full full_fine_tuning all null scratch from_scratch off no false", "none"
    )
    | _each("frozen linear_probe linear_probing features head extraction freeze all_frozen true yes on", "feature_extraction")
    | _each("partial last last_layer last_layers partial_fine_tuning", "last_stage")
    | _each("unfreezing unfreeze gradual_unfreezing", "gradual"),
    "precision": _each("32 fp32 float32 float full single", "32-true")
    | _each("16 fp16 float16 half amp mixed", "16-mixed")
    | _each("bf16 bfloat16", "bf16-mixed")
    | _each("64 fp64 float64 double", "64-true"),
    "scheduler": _each("cosine_annealing annealing", "cosine")
    | _each("reduce_on_plateau reduce_lr_on_plateau", "plateau")
    | _each("onecycle one_cycle_lr", "one_cycle")
    | _each("none null", "constant"),
    "optimizer": _each("momentum", "sgd"),
    "trainer": _each("cuda", "gpu") | _each("ddp gpus distributed", "multi_gpu"),
    "logger": _each("tb tensor_board board", "tensorboard"),
    "task": _each("ner pos tagging token_classification entities", "labelling")
    | _each("sentiment sentiment_analysis classify", "classification")
    | _each("asr speech speech_to_text", "speech_recognition")
    | _each("mlm masked_lm fill_mask", "masked_language_modelling")
    | _each("generation text_generation clm lm", "language_modelling")
    | _each("qa answering answers", "question_answering")
    | _each("autoencoding autoencoder pca", "reconstruction")
    | _each("vae", "variational")
    | _each("denoise denoising_autoencoder", "denoising")
    | _each("anomaly anomalies", "anomaly_detection")
    | _each("colorization colorisation colourise", "colourisation")
    | _each("object_detection detect boxes", "detection")
    | _each("masks semantic_segmentation", "segmentation")
    | _each("rl reinforcement reinforcement_learning ppo", "policy_gradient"),
    "model": _each("ann dnn dense fully_connected perceptron multilayer_perceptron feed_forward", "mlp")
    | _each("softmax_regression logistic", "logistic_regression")
    | _each("lenet", "lenet5")
    | _each("inception_v1", "googlenet")
    | _each("faster_rcnn fasterrcnn rcnn", "fasterrcnn_resnet50")
    | _each("mask_rcnn maskrcnn", "maskrcnn_resnet50")
    | _each("ssd", "ssdlite")
    | _each("encoder_decoder attention", "seq2seq")
    | _each("lstm_cell bilstm bi_lstm", "lstm")
    | _each("gru_cell bigru", "gru")
    | _each("rnn_cell vanilla_rnn simple_rnn recurrent", "rnn")
    | _each("variational_autoencoder", "vae")
    | _each("cae convolutional_autoencoder", "conv_autoencoder")
    | _each("vanilla_autoencoder ae denoising_autoencoder sparse_autoencoder", "autoencoder"),
    "data": _each("mnist_digits", "mnist")
    | _each("fashion fashionmnist", "fashion_mnist")
    | _each("folder images my_images custom own imagenet imagefolder cats_dogs", "image_folder")
    | _each("csv table", "text_table")
    | _each("sentiment reviews movie_reviews", "imdb")
    | _each("timeseries time_series", "series_table")
    | _each("xray x_ray chest_xray pneumonia", "pneumoniamnist")
    | _each("ants_bees", "hymenoptera")
    | _each("english_hindi hindi_english hi_en translation", "en_hi")
    | _each("shakespeare", "tinyshakespeare")
    | _each("conll2003", "conll")
    | _each("manifest audio_manifest", "speech_manifest")
    | _each("sounds sound_folder audio", "audio_folder")
    | _each("ud universal_dependencies", "ud_english_ewt")
    | _each("wnut wnut_17", "wnut17")
    | _each("sts sts_b", "stsb"),
}  # fmt: skip
SENTENCES = {  # what one name does not answer
    ("logger", "neptune"): "Neptune has closed its service and Lightning has taken NeptuneLogger out: choose mlflow, wandb, comet or aim",
    ("model", "yolo"): "detectors are ssdlite, retinanet_resnet50 and fasterrcnn_resnet50, and data=yolo reads YOLO's files",
    **{
        ("model", name): f"write model=timm model.name={full}"
        for name, full in (
            ("vit", "vit_tiny_patch16_224"), ("efficientnet", "efficientnet_b0"), ("convnext", "convnext_atto"),
            ("densenet", "densenet121"), ("swin", "swin_tiny_patch4_window7_224"),
        )
    },
    ("model", "inception"): "did you mean googlenet, which is version 1, or inception_v2 or inception_v3 or inception_v4?",
    ("model", "mt5"): "write model=t5_tiny model.name=mt5",
    ("model", "mbart"): "write model=bart_tiny model.name=mbart",
    **{("model", name): f"write model=wav2vec2_base model.name={name}" for name in ("hubert", "wavlm", "unispeech")},
    ("model", "transformer"): "text_transformer classifies text, transformer_seq2seq translates, and transformers reads "
    "any model of that library",
    **{
        ("optimizer", name.lower()): f"write optimizer={name}"
        for name in ("Lion", "Lamb", "MADGRAD", "AdaBelief", "NAdam", "RAdam", "Adagrad", "Adadelta", "Adamax", "LBFGS")
    },
    **{
        ("scheduler", word): f"write scheduler={name}"
        for word, name in (
            ("exponential", "ExponentialLR"), ("multistep", "MultiStepLR"), ("multi_step", "MultiStepLR"),
            ("linear", "LinearLR"), ("warm_restarts", "CosineAnnealingWarmRestarts"), ("cyclic", "CyclicLR"),
        )
    },
    **{
        (f"hydra/{kind}", name): f"pip install {package} brings it"
        for kind, name, package in (
            ("launcher", "joblib", "hydra-joblib-launcher"), ("launcher", "submitit_local", "hydra-submitit-launcher"),
            ("launcher", "rq", "hydra-rq-launcher"), ("sweeper", "ax", "hydra-ax-sweeper"),
            ("sweeper", "nevergrad", "hydra-nevergrad-sweeper"),
        )
    },
    ("scheduler", "warmup"): "scheduler=cosine warms up, over scheduler.warmup_epochs",
    **dict.fromkeys(
        (("trainer", "tpu"), ("trainer", "mps")),
        "trainer.accelerator=tpu and mps are Lightning's, and nobody tried them here; choose auto, cpu or gpu",
    ),
    **{
        ("freezing", f"layer{number}"): "a stage is named by freezing=stages freezing.learn=[layer4,head]"
        for number in range(1, 5)
    },
    **dict.fromkeys(
        (("freezing", "fc"), ("freezing", "classifier")),
        "the last layer is called head here, and freezing=feature_extraction learns it alone",
    ),
    ("model", "gan"): "adversarial networks are not here; vae and conv_vae make new images, as in experiment=vae_digits",
    ("model", "diffusion"): "diffusion is not here; vae and conv_vae make new images, as in experiment=vae_digits",
    **{
        ("model", name): "models are networks; logistic_regression is the plainest classifier, and pca is there for codes"
        for name in ("svm", "knn", "random_forest", "decision_tree", "xgboost", "naive_bayes")
    },
    **{
        ("data", name): "tables of measurements are not read; data=digits needs no file either, and data=series_table reads series"
        for name in ("iris", "titanic", "housing", "boston", "wine", "tabular")
    },
    ("data", "wikitext"): "data=text_file data.path=FILE reads any text",
    ("task", "summarization"): "summaries are learned as translations are: data=pairs data.path=FILE data.prefix='summarize:'",
    ("task", "summarisation"): "summaries are learned as translations are: data=pairs data.path=FILE data.prefix='summarize:'",
    **{
        ("task", name): "what is learned anew is said by weights= and freezing=, as in weights=pretrained freezing=feature_extraction"
        for name in ("transfer", "transfer_learning", "fine_tuning", "finetuning", "feature_extraction")
    },
    ("data", "imagenet"): "data=image_folder data.root=FOLDER reads its folders, one a class",
    ("data", "cifar"): "did you mean cifar10 or cifar100?",
    ("data", "wmt"): "data=pairs data.path=FILE reads two languages side by side",
}  # fmt: skip
PLACES = _each(  # where the files of data lie
    "root path folder dir directory file location data_dir data_root data_path data_file dataset_path csv table source",
    "data.root",
)
KEYS = {
    **_each("epochs max_epochs n_epochs num_epochs epoch", "trainer.max_epochs"),
    **_each("lr learning_rate", "optimizer.lr"),
    **_each("momentum", "optimizer.momentum"),
    **_each("weight_decay wd", "optimizer.weight_decay"),
    **_each("batch_size batch bs", "data.batch_size"),
    **_each("image_size img_size resize", "data.size"),
    **_each("workers num_workers data.num_workers", "data.workers"),
    **_each("augment augmentation", "data.augment.flip"),
    **_each("dropout", "model.dropout"),
    **_each("device accelerator", "trainer.accelerator"),
    **_each("gpus devices", "trainer.devices"),
    **_each("dataset", "data"),
    **_each("net network arch architecture", "model"),
    **_each("optim", "optimizer"),
    **_each("freeze", "freezing"),
    **_each(
        "target_lang target_language tgt_lang source_lang source_language src_lang data.target_lang data.target_language data.tgt_lang "
        "data.source_lang data.source_language data.src_lang",
        "data.languages=[en,hi]",
    ),
    **_each("prefix task.prefix model.prefix", "data.prefix"),
    **_each("random_seed", "seed"),
    **_each("hidden hidden_size hidden_dim hidden_units units", "model.hidden"),
    **_each("num_layers n_layers layers", "model.layers"),
    **_each("activation", "model.activation"),
    **_each("pooling", "model.pooling"),
    **_each("bidirectional", "model.bidirectional"),
    **_each("kernel_size kernel", "model.kernel"),
    **_each("latent latent_dim latent_size z_dim bottleneck", "model.latent_size"),
    **_each("nesterov", "optimizer.nesterov"),
    **_each("early_stopping earlystopping early_stop", "callbacks=early_stopping"),
    **_each("patience", "callbacks=early_stopping callbacks.early_stopping.patience=5"),
    **_each("gradient_clip grad_clip clip_grad clip_norm max_grad_norm", "trainer.gradient_clip_val"),
    **_each("max_steps steps", "trainer.max_steps"),
    **_each("gpu cuda", "trainer=gpu"),
    **_each("cpu", "trainer=cpu"),
    **_each("amp fp16 mixed_precision half", "precision=16-mixed"),
    **_each("bf16", "precision=bf16-mixed"),
    **_each("val_split validation_split validation val_size", "data.validation"),
    **_each("limit n_samples subset num_samples", "data.limit"),
    **PLACES,
    **_each("data.target data.targets data.column", "data.columns"),
    **_each("download", "data.download"),
    **_each("label_smoothing", "task.label_smoothing"),
    **_each("warmup warmup_epochs", "scheduler.warmup_epochs"),
    **_each("checkpoint ckpt", "weights"),
    **_each("output_dir out_dir out output run.dir run_dir save_dir log_dir logdir", "hydra.run.dir"),
    **_each("sweep.dir sweep_dir sweep.folder sweep.path", "hydra.sweep.dir"),
    **_each("pretrained model.pretrained model.weights", "weights=pretrained"),
    **_each(
        "freezing.layers freezing.stages freezing.trainable freezing.unfreeze freezing.train freezing.learning",
        "freezing=stages freezing.learn=[head]",
    ),
}
NO_KEYS = {  # last parts of keys that people look for
    **_each(
        "num_classes n_classes num_labels out_features output_size",
        "the data say how many classes there are, and the head follows",
    ),
    **_each(
        "in_channels input_channels num_channels in_features input_size input_shape",
        "the data say what the model reads",
    ),
    **_each("loss criterion loss_fn loss_function", "the task brings its loss: experiments list tasks shows them"),
    **_each("metric metrics", "the task brings its metrics: experiments list tasks shows them"),
    **_each("seeds n_seeds num_seeds", "a run has one seed, and experiments train -m seed=0,1,2 trains with three"),
    **_each("verbose", "write -v for more lines, -q for fewer"),
    **_each("save save_model", "the best and the last checkpoint are always written, into RUN/checkpoints"),
    **_each(
        "vocab_size vocabulary_size num_tokens",
        "the data say it; data.tokenizer.size is the most that a tokenizer takes",
    ),
}
NO_TRANSFORM = (
    "images with one label each have it; where masks or boxes lie on images, write data.augment.NAME._target_=…, which moves "
    "both, and data.size=… for masks of another size"
)
PAIR_KEYS = _each(  # where texts are translated
    "target source language tgt src data.target data.source data.language data.tgt data.src task.language task.target task.source "
    "task.target_lang task.target_language task.source_language data.forced_bos_token task.forced_bos_token model.language",
    "data.languages=[en,hi]",
)
CONTROL_KEYS = {  # where a policy learns from what it does; elsewhere task.gamma is of the focal loss
    **_each("gamma task.gamma", "task.discount"),
    **_each("gae_lambda task.gae_lambda lambda task.lambda task.lam", "task.trace"),
    **_each("clip_range task.clip_range clip_coef task.clip_coef clip_ratio task.clip_ratio task.epsilon", "task.clip"),
    **_each("ent_coef task.ent_coef entropy_coef task.entropy_coef entropy task.entropy_weight", "task.entropy"),
    **_each("vf_coef task.vf_coef value_coef task.value_coef", "task.value_weight"),
    **_each("max_grad_norm task.max_grad_norm", "task.max_gradient"),
    **_each("task.epochs task.n_epochs task.num_epochs task.update_epochs update_epochs", "task.passes"),
    **_each("n_steps num_steps data.n_steps data.num_steps", "data.steps"),
    **_each("n_envs num_envs data.n_envs data.num_envs", "data.environments"),
    **_each("env env_id environment data.env_id data.environment", "data.env"),
}
